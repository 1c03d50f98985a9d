//! Rust from `etcd/proto/*.proto`. The output is committed, so that building Quorate needs neither a
//! protobuf compiler nor the time of the generator; CI checks that it is up to date.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use protox::prost::Message as _;

/// The files, in the order in which they depend on one another.
const FILES: &[&str] = &[
    "mvccpb.proto",
    "authpb.proto",
    "etcdserverpb.proto",
    "v3lockpb.proto",
    "v3electionpb.proto",
];

/// Where the output lies, from the root.
const OUTPUT: &str = "etcd/src/proto/generated";

/// Regenerates the output, or, with `check`, fails if that would change anything.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the root")?;
    let fresh = generate(root)?;
    let committed = root.join(OUTPUT);
    if check {
        let old = read_all(&committed).unwrap_or_default();
        if old != fresh {
            bail!("{OUTPUT} is not what etcd/proto/*.proto give: run `cargo x proto` and commit");
        }
        println!("proto: {} files are up to date", fresh.len());
        return Ok(());
    }
    if committed.exists() {
        fs::remove_dir_all(&committed)?;
    }
    fs::create_dir_all(&committed)?;
    for (name, content) in &fresh {
        fs::write(committed.join(name), content)?;
    }
    println!("proto: wrote {} files to {OUTPUT}", fresh.len());
    Ok(())
}

/// Generates into a scratch folder and answers what came out, by file name.
fn generate(root: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let scratch = root.join(format!("target/xtask-proto-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let outcome = generate_into(root, &scratch).and_then(|()| read_all(&scratch));
    fs::remove_dir_all(&scratch)?;
    outcome
}

fn generate_into(root: &Path, scratch: &Path) -> Result<()> {
    let descriptors = protox::compile(FILES, [root.join("etcd/proto")])?;
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::proto::codec::Codec")
        .out_dir(scratch)
        .compile_fds(descriptors.clone())?;

    // Reflection serves the descriptors; comments and positions would only make them larger.
    let mut bare = descriptors;
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    fs::write(scratch.join("descriptors.bin"), bare.encode_to_vec())?;

    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024"]);
    for entry in fs::read_dir(scratch)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            rustfmt.arg(path);
        }
    }
    let status = rustfmt
        .status()
        .context("rustfmt is needed: `rustup component add rustfmt`")?;
    if !status.success() {
        bail!("rustfmt failed on the generated code");
    }
    Ok(())
}

fn read_all(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, fs::read(entry.path())?);
    }
    Ok(files)
}
