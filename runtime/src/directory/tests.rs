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

#[test]
fn an_identity_with_any_bit_changed_or_cut_is_refused() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    sealed(&path);
    let file = path.join(IDENTITY);
    let intact = fs::read(&file).unwrap();
    for at in 0..intact.len() {
        let mut changed = intact.clone();
        changed[at] ^= 0x10;
        fs::write(&file, &changed).unwrap();
        assert!(refusal(&path, MINE).contains("is damaged"), "byte {at}");
        fs::write(&file, &intact[..at]).unwrap();
        assert!(refusal(&path, MINE).contains("is damaged"), "cut at {at}");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("data");
    sealed(&path);
    let file = path.join(IDENTITY);
    let mut newer = fs::read(&file).unwrap();
    newer[8] = 2;
    let crc = checksum(&newer);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&file, newer).unwrap();
    assert!(refusal(&path, MINE).contains("format version 2"));
}
