#!/bin/sh
# The protoc for the crate `raft`, whose build script wants one that calls itself version 3 and joins
# `-I` to its folder. The work is done by the stand-in that the main workspace uses.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
if [ "$1" = --version ]; then
    echo "libprotoc 3.25.1"
    exit
fi
for argument in "$@"; do
    shift
    case $argument in
        -I?*) set -- "$@" -I "${argument#-I}" ;;
        *) set -- "$@" "$argument" ;;
    esac
done
exec "$here/../protoc/protoc.sh" "$@"
