//! What the disk itself takes to make four kibibytes durable: no put can be faster.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::servers::keeper::Folder;
use crate::tally::Tally;

/// How much is written at once.
const BLOCK: usize = 4096;
/// How often.
const TIMES: u64 = 2000;

/// What was done, and the median and the 99th percentile of a write with its fdatasync, milliseconds.
pub(super) fn latencies(root: &Path, part: u64) -> Result<Vec<(String, f64, f64)>> {
    let folder = Folder::new(root, "disk")?;
    let path = folder.path().join("file");
    let mut file =
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let times = (TIMES / part).max(20);
    let growing = writes(&mut file, times)?;
    file.seek(SeekFrom::Start(0))?;
    let over = writes(&mut file, times)?;
    let line = |what: &str, tally: &Tally| {
        let ms = |share| tally.latency.value_at_quantile(share) as f64 / 1000.0;
        (what.to_owned(), ms(0.5), ms(0.99))
    };
    Ok(vec![
        line("write and fdatasync of 4 KiB, file grows", &growing),
        line("write and fdatasync of 4 KiB, over old bytes", &over),
    ])
}

fn writes(file: &mut File, times: u64) -> Result<Tally> {
    let block = [0xa5; BLOCK];
    let mut tally = Tally::new();
    for _ in 0..times {
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        tally.succeeded(began.elapsed());
    }
    Ok(tally)
}
