#!/bin/sh
# The protoc that build scripts of third-party crates find in $PROTOC. It is built into a target folder
# of its own, since the cargo that runs those build scripts holds the lock of the usual one.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$(dirname -- "$here")")
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/protoc" exec cargo run --quiet \
    --manifest-path "$root/tools/protoc/Cargo.toml" -- "$@"
