//! Bits flip in the files of a member that is stopped, in any file and at any place. It is repaired, or
//! it refuses to start with a reason, or nothing comes of it; it never serves anything wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use etcd_client::{GetOptions, Txn, TxnOp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::harness::client::{self, bounded};
use crate::harness::cluster::{Cluster, Settings};
use crate::harness::{eventually, rounds, server};

/// All keys begin with this.
const PREFIX: &str = "rot/";
/// How many keys there are.
const KEYS: usize = 1500;
/// How many of them change in each round.
const CHANGES: usize = 40;

/// What came of a flipped bit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    /// It was noticed, and the member has made up for it.
    Repaired,
    /// The member did not start, and said why.
    Refused,
    /// It was noticed by nobody, and what is served is right.
    Harmless,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Repaired => "repaired",
            Outcome::Refused => "refused",
            Outcome::Harmless => "harmless",
        })
    }
}

/// A bit of a file.
struct Bit {
    file: PathBuf,
    at: u64,
    mask: u8,
}

impl Bit {
    /// Any bit of any file of a folder that has any. Every other time it is one of those that are
    /// in use: most of a log is zeros that nobody has written over yet.
    fn any(folder: &Path, random: &mut StdRng) -> Bit {
        let mut files = Vec::new();
        list(folder, &mut files);
        let file = files.swap_remove(random.random_range(0..files.len()));
        let len = fs::metadata(&file).expect("it is there").len();
        let mut at = random.random_range(0..len);
        if random.random() {
            let mut bytes = Vec::new();
            let mut opened = fs::File::open(&file).expect("it opens");
            opened.read_to_end(&mut bytes).expect("it can be read");
            let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            if !used.is_empty() {
                at = used[random.random_range(0..used.len())] as u64;
            }
        }
        Bit {
            file,
            at,
            mask: 1 << random.random_range(0..8),
        }
    }

    /// Flips it, and back again.
    fn flip(&self) {
        let file = OpenOptions::new().read(true).write(true).open(&self.file);
        let file = file.expect("it opens");
        let mut byte = [0];
        file.read_exact_at(&mut byte, self.at).expect("a read");
        byte[0] ^= self.mask;
        file.write_all_at(&byte, self.at).expect("a write");
    }

    /// What kind of file it is in.
    fn kind(&self) -> String {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        match self.file.extension() {
            Some(extension) if extension == "segment" => "log segment".to_owned(),
            _ => name.into_owned(),
        }
    }
}

/// All files that hold anything.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let metadata = entry.metadata().expect("it is there");
        if metadata.is_dir() {
            list(&entry.path(), files);
        } else if metadata.len() > 0 {
            files.push(entry.path());
        }
    }
    files.sort();
}

/// A cluster, and what is in it.
struct Patient {
    cluster: Cluster,
    random: StdRng,
    wanted: BTreeMap<String, String>,
}

impl Patient {
    /// Changes some values, through another member than that.
    async fn write(&mut self, besides: usize, keys: impl Iterator<Item = usize>, round: usize) {
        let mut client = self.cluster.client((besides + 1) % 3).await;
        let mut puts = Vec::new();
        for number in keys {
            let key = format!("{PREFIX}{number:05}");
            let value = format!("{number} in round {round} ").repeat(1 + number % 20);
            puts.push(TxnOp::put(key.clone(), value.clone(), None));
            self.wanted.insert(key, value);
        }
        for some in puts.chunks(100) {
            // The same again has the same effect.
            eventually("a transaction is acknowledged", async || {
                let txn = Txn::new().and_then(some.to_vec());
                bounded(client.txn(txn)).await.ok()
            })
            .await;
        }
    }

    /// Whether a member serves all there is; it may be on its way to its end instead.
    async fn serves_all(&mut self, at: usize) -> bool {
        let mut client = self.cluster.client(at).await;
        loop {
            if self.cluster.members[at].ended().is_some() {
                return false;
            }
            let options = GetOptions::new().with_prefix();
            let Ok(reply) = bounded(client.get(PREFIX, Some(options))).await else {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let kvs = reply.kvs().iter();
            let found: BTreeMap<String, String> =
                kvs.map(|kv| (text(kv.key()), text(kv.value()))).collect();
            let first = self
                .wanted
                .iter()
                .find(|(key, value)| found.get(*key) != Some(value));
            assert!(
                first.is_none(),
                "the member serves something else than {first:?}"
            );
            assert_eq!(found.len(), self.wanted.len(), "the member serves too much");
            return true;
        }
    }

    /// Starts a member; whether it came to serve before it ended by itself.
    async fn start(&mut self, at: usize) -> bool {
        self.cluster.members[at].start();
        let mut client = client::connect(&self.cluster.members[at].client_url()).await;
        let member = &mut self.cluster.members[at];
        eventually("it serves or ends", async || {
            if member.ended().is_some() {
                return Some(false);
            }
            bounded(client.get("ready?", None)).await.ok()?;
            member
                .has_said("ready to serve client requests")
                .then_some(true)
        })
        .await
    }

    async fn round(&mut self, victim: usize) -> (Outcome, Bit) {
        let bit = Bit::any(&self.cluster.members[victim].folder, &mut self.random);
        bit.flip();
        let mut noticed = false;
        for _ in 0..3 {
            let serves = self.start(victim).await && self.serves_all(victim).await;
            let said = self.cluster.members[victim].has_said("damaged");
            noticed |= said;
            if serves {
                let outcome = if noticed {
                    Outcome::Repaired
                } else {
                    Outcome::Harmless
                };
                return (outcome, bit);
            }
            assert!(said, "it ended without a reason");
            // Gone already; whoever runs a member starts it again.
            self.cluster.members[victim].kill();
        }
        bit.flip();
        self.cluster.start_one(victim).await;
        assert!(self.serves_all(victim).await);
        (Outcome::Refused, bit)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_any_file_never_gives_wrong_data() {
    if !server::is_ours() {
        return;
    }
    let settings = Settings {
        small_log: true,
        ..Settings::default()
    };
    let mut patient = Patient {
        cluster: Cluster::start_with(3, settings).await,
        random: StdRng::seed_from_u64(rounds(1) as u64),
        wanted: BTreeMap::new(),
    };
    patient.write(0, 0..KEYS, 0).await;
    let mut outcomes: BTreeMap<(String, Outcome), usize> = BTreeMap::new();
    for round in 1..=rounds(6) {
        let victim = round % 3;
        let changed: BTreeSet<usize> = (0..CHANGES)
            .map(|_| patient.random.random_range(0..KEYS))
            .collect();
        patient.write(victim, changed.into_iter(), round).await;
        assert!(patient.serves_all(victim).await);
        match patient.random.random() {
            true => patient.cluster.members[victim].kill(),
            false => drop(patient.cluster.members[victim].terminate()),
        }
        let (outcome, bit) = patient.round(victim).await;
        println!("round {round}: {outcome}: {} at {}", bit.kind(), bit.at);
        *outcomes.entry((bit.kind(), outcome)).or_default() += 1;
    }
    for ((kind, outcome), count) in &outcomes {
        println!("{kind}: {outcome} {count} times");
    }
}

/// Flips a bit in both copies of the header of a store, so that nothing of it can be read; or back again.
fn flip_header(store: &Path) {
    for at in [30, 4096 + 30] {
        let file = store.to_owned();
        Bit { file, at, mask: 4 }.flip();
    }
}

/// Puts so many large values, and reads what is there.
async fn put_and_read(cluster: &Cluster, puts: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut client = cluster.client(0).await;
    for number in 0..puts {
        let value = format!("{number} ").repeat(1000);
        let put = bounded(client.put(format!("{PREFIX}{number}"), value, None)).await;
        put.expect("a put is acknowledged");
    }
    let options = GetOptions::new().with_prefix();
    let reply = bounded(client.get(PREFIX, Some(options))).await;
    let reply = reply.expect("a read");
    let kvs = reply.kvs().iter();
    kvs.map(|kv| (kv.key().to_vec(), kv.value().to_vec()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_with_a_damaged_store_and_a_whole_log_it_begins_again() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(1).await;
    let wanted = put_and_read(&cluster, 50).await;
    cluster.members[0].kill();
    flip_header(&cluster.members[0].folder.join("store").join("store.redb"));
    cluster.start_all().await;
    assert!(cluster.members[0].has_said("rebuilt from the write-ahead log"));
    assert!(put_and_read(&cluster, 0).await == wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alone_with_a_damaged_store_and_half_a_log_it_says_what_to_do() {
    if !server::is_ours() {
        return;
    }
    let settings = Settings {
        small_log: true,
        ..Settings::default()
    };
    let mut cluster = Cluster::start_with(1, settings).await;
    let wanted = put_and_read(&cluster, 600).await;
    cluster.members[0].kill();
    let folder = cluster.members[0].folder.join("store");
    let store = folder.join("store.redb");
    flip_header(&store);
    for _ in 0..2 {
        let said = cluster.members[0].start_and_fail();
        assert!(said.contains("too few other members"), "{said}");
    }
    // As it said: the disk returned wrong bytes, and that is mended now.
    let aside = folder.join("damaged.redb");
    flip_header(&aside);
    fs::rename(&aside, &store).expect("it was set aside");
    fs::remove_file(folder.join("rebuilding")).expect("it is there");
    cluster.start_all().await;
    assert!(put_and_read(&cluster, 0).await == wanted);
}
