#!/usr/bin/env bash
# The scaling tables of docs/performance.md: threads, batch, time steps, density, channels. One JSON line per run; about 10 minutes.
set -u
cd "$(dirname "$0")/.."
run() { echo "== $*" >&2; target/release/spiketrain bench --json --steps 3 "$@" | tail -1; }
for j in 1 2; do run --net small -b 16 --rate 0.1 -j $j; run --net middle -b 16 --rate 0.1 -j $j; run --net large -b 2 --rate 0.1 -j $j; done
for b in 1 4 16 64 256; do run --net middle -b $b --rate 0.1; done
for t in 2 4 8 16 32 64; do run --net middle -b 16 -T $t --rate 0.1; done
for r in 0.02 0.05 0.1 0.2 0.33 0.5; do run --net 128C3-128C3-128C3-10Voting --shape 3x16x16 -b 16 --rate $r; done
for c in 32 64 128 256 512; do run --net "${c}C3-${c}C3-${c}C3-10Voting" --shape 3x16x16 -b 4 --rate 0.1; done
