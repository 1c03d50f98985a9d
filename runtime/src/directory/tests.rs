//! Whose directory it is.

use super::*;

const MINE: Identity = Identity {
    cluster: 0xc1,
    member: NodeId(0xa1),
};

fn sealed(path: &Path) {
    Directory::open(path, MINE).unwrap().seal().unwrap();
}

fn refusal(path: &Path, identity: Identity) -> String {
    Directory::open(path, identity).err().unwrap().to_string()
}

#[test]
fn a_directory_is_made_for_its_owner_alone_and_opened_again() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("some/where");
    let mut directory = Directory::open(&path, MINE).unwrap();
    assert!(directory.is_new());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(Directory::identity_at(&path).unwrap(), None);
    directory.seal().unwrap();
    assert!(!directory.is_new());
    drop(directory);
    let directory = Directory::open(&path, MINE).unwrap();
    assert!(!directory.is_new());
    assert_eq!(directory.identity(), MINE);
    assert_eq!(Directory::identity_at(&path).unwrap(), Some(MINE));
    assert!(directory.log_disk().unwrap().list().unwrap().is_empty());
}

#[test]
fn a_directory_in_use_is_refused_and_free_again_afterwards() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    let first = Directory::open(&path, MINE).unwrap();
    let second = first.clone();
    drop(first);
    let refusal = refusal(&path, MINE);
    assert!(refusal.contains("another process uses"), "{refusal}");
    drop(second);
    Directory::open(&path, MINE).unwrap();
}

#[test]
fn a_directory_of_another_member_or_cluster_is_refused() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    sealed(&path);
    let other = Identity {
        member: NodeId(0xa2),
        ..MINE
    };
    let text = refusal(&path, other);
    assert!(
        text.contains("belongs to member a1") && text.contains("--name"),
        "{text}"
    );
    let other = Identity {
        cluster: 0xc2,
        ..MINE
    };
    let text = refusal(&path, other);
    assert!(
        text.contains("cluster c1, not to c2") && text.contains("--initial-cluster-token"),
        "{text}"
    );
}

#[test]
fn a_directory_that_others_may_open_is_refused() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    fs::create_dir(&path).unwrap();
    for (mode, refused) in [(0o755, true), (0o710, true), (0o702, true), (0o700, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        match Directory::open(&path, MINE) {
            Ok(_) => assert!(!refused, "{mode:o}"),
            Err(error) => {
                assert!(refused, "{mode:o}");
                assert!(error.to_string().contains("chmod 700"), "{error}");
            }
        }
    }
}

#[test]
fn a_file_in_the_place_of_a_directory_is_refused() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    fs::write(&path, "not a directory").unwrap();
    assert!(refusal(&path, MINE).contains("is not a directory"));
}

/// Every way in which one of the files that say whose a directory is can be spoiled: any byte changed, cut
/// anywhere, gone.
fn spoiled(intact: &[u8]) -> Vec<Option<Vec<u8>>> {
    let changed = (0..intact.len()).map(|at| {
        let mut changed = intact.to_vec();
        changed[at] ^= 0x10;
        Some(changed)
    });
    let cut = (0..intact.len()).map(|at| Some(intact[..at].to_vec()));
    changed.chain(cut).chain([None]).collect()
}

fn spoil(file: &Path, content: Option<&[u8]>) {
    match content {
        Some(bytes) => fs::write(file, bytes).unwrap(),
        None => fs::remove_file(file).unwrap(),
    }
}

#[test]
fn either_copy_of_an_identity_will_do_and_brings_the_other_back() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    sealed(&path);
    let files = IDENTITIES.map(|name| path.join(name));
    let intact = fs::read(&files[0]).unwrap();
    for file in &files {
        for content in spoiled(&intact) {
            spoil(file, content.as_deref());
            assert_eq!(Directory::identity_at(&path).unwrap(), Some(MINE));
            assert!(!Directory::open(&path, MINE).unwrap().is_new());
            assert_eq!(fs::read(file).unwrap(), intact, "it is there again");
        }
    }
}

#[test]
fn an_identity_of_which_no_copy_is_left_is_refused() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    sealed(&path);
    let [first, second] = IDENTITIES.map(|name| path.join(name));
    let intact = fs::read(&first).unwrap();
    for content in spoiled(&intact) {
        spoil(&first, content.as_deref());
        for other in [Some(&intact[..7]), None] {
            fs::write(&second, &intact).unwrap();
            spoil(&second, other);
            if content.is_some() || other.is_some() {
                assert!(refusal(&path, MINE).contains("is damaged"));
            }
        }
        fs::write(&first, &intact).unwrap();
    }
}

#[test]
fn copies_of_which_each_says_something_else_are_refused() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    sealed(&path);
    let other = Identity {
        member: NodeId(0xa2),
        ..MINE
    };
    fs::write(path.join(IDENTITIES[1]), encode(other)).unwrap();
    for identity in [MINE, other] {
        let text = refusal(&path, identity);
        assert!(text.contains("does not belong there"), "{text}");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    sealed(&path);
    let file = path.join(IDENTITIES[1]);
    let mut newer = fs::read(&file).unwrap();
    newer[8] = 2;
    let crc = checksum(&newer);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&file, newer).unwrap();
    assert!(refusal(&path, MINE).contains("format version 2"));
}
