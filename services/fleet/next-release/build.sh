#!/usr/bin/env bash
# Builds a release that could follow this one: this tree with `release.patch`, which gives an event a field, a view a
# column and GraphQL a field of the same name. `flotilla drill --next` deploys it beside this one, and rolls it back:
#
#     ./flotilla drill --next "$(services/fleet/next-release/build.sh)"
#
# Standard output is the path of its program. Dependencies are compiled only once for both.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
tree=$target/next-release

rm -rf -- "$tree"
mkdir -p -- "$tree"
# Files keep their times, so that what has not changed is not compiled again.
(cd -- "$root" && git ls-files -z --cached --others --exclude-standard) |
    (cd -- "$root" && tar --create --null --files-from=- --ignore-failed-read 2>/dev/null) |
    tar --extract --directory "$tree"
# Not the repository around it: paths in the patch begin here.
(cd -- "$tree" && GIT_CEILING_DIRECTORIES=$target git apply "$here/release.patch")
cargo build --manifest-path "$tree/Cargo.toml" --target-dir "$target" --workspace --example next-release >&2
printf '%s\n' "$target/debug/examples/next-release"
