//! What no compiler checks: that files stay small, that crates depend only downwards, that nothing
//! unfinished or bound to one machine was committed, and that links in documents lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The longest a source file may be, lines.
const FILE_LINES_MAX: usize = 800;
/// The longest a protocol's `mod.rs` may be: it is a table of contents.
const PROTOCOL_MOD_LINES_MAX: usize = 150;
/// The longest `core` and `node` may be together, since everyone reads them.
const CORE_AND_NODE_LINES_MAX: usize = 1500;
/// The longest the map of the code may be.
const ARCHITECTURE_LINES_MAX: usize = 200;

/// Which crates of the workspace each crate may depend on outside its tests: the dependency rule.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("problems", &["core"]),
    ("node", &["core"]),
    ("quorums", &["core"]),
    ("protocols", &["core", "problems", "quorums"]),
    ("check", &["core", "node", "problems"]),
    ("sim", &["core", "node", "problems", "runtime", "service"]),
    ("runtime", &["core", "node"]),
    ("service", &["core", "node", "problems"]),
    ("etcd", &["core", "http2", "runtime", "service"]),
    ("http2", &[]),
    (
        "lab",
        &[
            "check",
            "core",
            "node",
            "problems",
            "protocols",
            "quorums",
            "runtime",
            "service",
            "sim",
        ],
    ),
    ("client", &["etcd"]),
    ("bench", &["client", "etcd", "http2"]),
];

/// Crates that hold no clock, socket, file, thread or hash map, by compiler.
const WITHOUT_STD: &[&str] = &["core", "quorums", "problems", "node", "protocols"];

/// Runs every check and reports all that they find.
pub(crate) fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the root")?;
    let files = tracked_files(root)?;
    let mut found = Vec::new();
    for file in &files {
        let Ok(text) = fs::read_to_string(root.join(file)) else {
            continue; // Not text, or deleted and not yet committed.
        };
        check_size(file, &text, &mut found);
        check_words(file, &text, &mut found);
        if file.extension().is_some_and(|ending| ending == "md") {
            check_links(root, file, &text, &mut found);
        }
    }
    check_core_size(root, &files, &mut found)?;
    check_dependencies(root, &mut found)?;
    if found.is_empty() {
        println!("tidy: {} files, nothing to mend", files.len());
        return Ok(());
    }
    for line in &found {
        eprintln!("{line}");
    }
    bail!("{} things to mend", found.len())
}

/// Every file that git tracks or would track.
fn tracked_files(root: &Path) -> Result<Vec<PathBuf>> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git lists the files")?;
    let text = String::from_utf8(listing.stdout).context("file names are UTF-8")?;
    Ok(text.lines().map(PathBuf::from).collect())
}

fn check_size(file: &Path, text: &str, found: &mut Vec<String>) {
    let lines = text.lines().count();
    let name = file.to_string_lossy();
    let generated = name.contains("/generated/");
    let is_protocol_mod = name.starts_with("protocols/src/") && name.ends_with("/mod.rs");
    let lines_max = match name.as_ref() {
        "ARCHITECTURE.md" => ARCHITECTURE_LINES_MAX,
        _ if is_protocol_mod => PROTOCOL_MOD_LINES_MAX,
        _ if name.ends_with(".rs") && !generated => FILE_LINES_MAX,
        _ => return,
    };
    if lines > lines_max {
        found.push(format!("{name}: {lines} lines, {lines_max} at most"));
    }
}

/// Words that must not stay, each split here so that this file does not find itself.
fn check_words(file: &Path, text: &str, found: &mut Vec<String>) {
    let name = file.to_string_lossy();
    if name == "Cargo.lock" {
        return;
    }
    let forbidden = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    for (number, line) in text.lines().enumerate() {
        for word in forbidden {
            if line.contains(word) {
                found.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
}

/// Relative links in documents must lead to files.
fn check_links(root: &Path, file: &Path, text: &str, found: &mut Vec<String>) {
    let folder = root.join(file).parent().map(Path::to_path_buf);
    for (number, line) in text.lines().enumerate() {
        for link in line.split("](").skip(1) {
            let Some((target, _)) = link.split_once(')') else {
                continue;
            };
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if folder
                .as_ref()
                .is_none_or(|folder| !folder.join(target).exists())
            {
                found.push(format!(
                    "{}:{}: the link to {target} leads nowhere",
                    file.display(),
                    number + 1
                ));
            }
        }
    }
}

fn check_core_size(root: &Path, files: &[PathBuf], found: &mut Vec<String>) -> Result<()> {
    let mut lines = 0;
    for file in files {
        if file.starts_with("core/src") || file.starts_with("node/src") {
            let text = fs::read_to_string(root.join(file))?;
            // Tests stand at the end of a file and do not count.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            lines += code.lines().count();
        }
    }
    if lines > CORE_AND_NODE_LINES_MAX {
        found.push(format!(
            "core and node: {lines} lines together, {CORE_AND_NODE_LINES_MAX} at most"
        ));
    }
    Ok(())
}

fn check_dependencies(root: &Path, found: &mut Vec<String>) -> Result<()> {
    for (name, allowed) in MAY_DEPEND_ON {
        let path = root.join(name).join("Cargo.toml");
        let manifest =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let dependencies = manifest
            .split("\n[")
            .find_map(|section| section.strip_prefix("dependencies]"))
            .unwrap_or_default();
        for line in dependencies.lines() {
            let Some(rest) = line.strip_prefix("quorate-") else {
                continue;
            };
            let depended = rest.split(['.', ' ', '=']).next().unwrap_or_default();
            if !allowed.contains(&depended) {
                found.push(format!("{name} must not depend on {depended}"));
            }
        }
    }
    for name in WITHOUT_STD {
        let text = fs::read_to_string(root.join(name).join("src/lib.rs"))?;
        if !text.contains("#![no_std]") {
            found.push(format!("{name} must be no_std"));
        }
    }
    Ok(())
}
