//! Stands in for Google's `protoc`, in the one way in which Rust build scripts call it: compile
//! these files, write the descriptor set there. `.cargo/config.toml` points `PROTOC` at
//! `tools/protoc/protoc.sh`, which builds and runs this.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use prost::Message;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (mut includes, mut files, mut output) = (Vec::new(), Vec::new(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--version" => {
                println!("libprotoc 25.1 (protox)");
                return Ok(());
            }
            "-I" => includes.push(PathBuf::from(
                arguments.next().context("-I takes a folder")?,
            )),
            "-o" => output = Some(PathBuf::from(arguments.next().context("-o takes a file")?)),
            "--include_imports" | "--include_source_info" => {}
            "--experimental_allow_proto3_optional" => {}
            other if other.starts_with('-') => bail!("protoc stand-in: unknown option {other}"),
            file => files.push(PathBuf::from(file)),
        }
    }
    let output = output.context("protoc stand-in: -o FILE is missing")?;
    let descriptors = protox::compile(files, includes)?;
    std::fs::write(&output, descriptors.encode_to_vec())
        .with_context(|| format!("cannot write {}", output.display()))
}
