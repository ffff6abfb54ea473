#!/usr/bin/env bash
# The kernels for 64-bit ARM under emulation, outside the CI: tests/aarch64.sh. On such a machine `cargo test` is enough.
# Debian has what it asks for in gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user; the rest is `rustup target add`.
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
skip() {
    echo "SKIPPED: NEON: $1"
    exit 0
}
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v "$tool" >/dev/null || skip "there is no $tool"
done
compgen -G "$(rustc --print target-libdir --target $target)/libstd-*.rlib" >/dev/null || skip "rustc has no standard library for $target"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
cargo test --locked --target $target --lib engine:: -- --show-output
cargo test --locked --target $target --test engines -- --show-output
