//! Both disks behave alike.

use std::sync::Arc;

use super::*;

fn check(disk: &dyn Disk) {
    let mut file = disk.create("a").unwrap();
    file.preallocate(100).unwrap();
    assert_eq!(file.size().unwrap(), 100);
    file.write_at(b"hello", 97).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.size().unwrap(), 102);
    let mut bytes = [9; 8];
    assert_eq!(file.read_at(&mut bytes, 95).unwrap(), 7);
    assert_eq!(&bytes, b"\0\0hello\x09");
    assert_eq!(file.read_at(&mut bytes, 500).unwrap(), 0);
    file.truncate(99).unwrap();
    assert_eq!(disk.open("a").unwrap().size().unwrap(), 99);
    disk.rename("a", "b").unwrap();
    disk.sync_dir().unwrap();
    assert!(disk.open("a").is_err());
    assert_eq!(disk.list().unwrap(), ["b"]);
    assert_eq!(disk.create("b").unwrap().size().unwrap(), 0);
    disk.remove("b").unwrap();
    assert!(disk.remove("b").is_err());
    let lock = disk.lock("l").unwrap();
    assert!(lock.is_some());
    assert!(disk.lock("l").unwrap().is_none(), "it is held");
    drop(lock);
    assert!(disk.lock("l").unwrap().is_some(), "it was let go");
}

#[test]
fn a_real_and_a_remembered_disk_behave_alike() {
    let directory = tempfile::tempdir().unwrap();
    check(&RealDisk::new(directory.path()).unwrap());
    let memory: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    check(&*memory);
}
