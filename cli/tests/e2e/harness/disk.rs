//! What a test does to a member's write-ahead log while the member is down.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where each frame of the log starts: `docs/file-format.md`.
const FRAMES_ALIGNED_TO: usize = 8;

/// The newest segment of a log.
pub(crate) struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Segment {
    /// Reads the newest segment below a data directory.
    pub(crate) fn newest(folder: &Path) -> Segment {
        let path = segments(folder).pop().expect("there is a segment");
        Segment {
            bytes: fs::read(&path).expect("a segment can be read"),
            path,
        }
    }

    /// Reads the segment in which these bytes stand, and says where.
    pub(crate) fn with(folder: &Path, needle: &[u8]) -> (Segment, usize) {
        Segment::find(folder, needle).unwrap_or_else(|| {
            panic!(
                "the log does not contain {:?}",
                String::from_utf8_lossy(needle)
            )
        })
    }

    /// The same, if they stand in the log by now: what others have on disk may be shown before.
    pub(crate) fn find(folder: &Path, needle: &[u8]) -> Option<(Segment, usize)> {
        segments(folder).into_iter().find_map(|path| {
            let bytes = fs::read(&path).expect("a segment can be read");
            let mut windows = bytes.windows(needle.len());
            let at = windows.position(|window| window == needle)?;
            Some((Segment { path, bytes }, at))
        })
    }

    /// How much of it is in use; what follows was only set aside.
    pub(crate) fn used(&self) -> usize {
        let last = self.bytes.iter().rposition(|byte| *byte != 0);
        last.map_or(0, |last| last + 1)
    }

    /// Where the last frame before `at` starts.
    pub(crate) fn frame_before(&self, at: usize) -> usize {
        let magic = self.bytes[..at]
            .windows(4)
            .rposition(|window| window == b"QfrM");
        magic.expect("there is a frame")
    }

    /// Ends the file at `length`.
    pub(crate) fn cut(&self, length: usize) {
        let file = OpenOptions::new()
            .write(true)
            .open(&self.path)
            .expect("it is ours");
        file.set_len(length as u64).expect("a file can be cut");
    }

    /// Writes bytes behind the last frame, as if a write had been torn there.
    pub(crate) fn append(&self, bytes: &[u8]) {
        self.write(self.used().next_multiple_of(FRAMES_ALIGNED_TO), bytes);
    }

    /// Changes one bit.
    pub(crate) fn flip(&self, at: usize) {
        self.write(at, &[self.bytes[at] ^ 0x10]);
    }

    /// Makes a byte what it was when the segment was read.
    pub(crate) fn restore(&self, at: usize) {
        self.write(at, &self.bytes[at..=at]);
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        let file = OpenOptions::new()
            .write(true)
            .open(&self.path)
            .expect("it is ours");
        file.write_all_at(bytes, at as u64)
            .expect("a file can be written");
    }
}

/// How many bytes all segments below a data directory have.
pub(crate) fn log_bytes(folder: &Path) -> u64 {
    let sizes = segments(folder)
        .into_iter()
        .map(|path| fs::metadata(path).map_or(0, |file| file.len()));
    sizes.sum()
}

/// All segments, oldest first.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let entry = entry.expect("a folder can be listed");
            let path = entry.path();
            let kind = entry.file_type().expect("a folder can be listed");
            if kind.is_dir() {
                folders.push(path);
            } else if path.file_stem().is_some_and(|name| name != "next")
                && path.extension().is_some_and(|end| end == "segment")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
