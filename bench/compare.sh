#!/usr/bin/env bash
# The comparison of docs/performance.md: the Python stack and spiketrain on the same work, one after the other. Prints one JSON line per run.
#   bench/compare.sh [PYTHON] > lines.json       (needs torch, numpy, spikingjelly; about 15 minutes on two cores, nothing else running)
set -u
cd "$(dirname "$0")/.."
python=${1:-python3}
ours=target/release/spiketrain
threads=${THREADS:-2}
export OMP_NUM_THREADS=$threads
theirs() { "$python" bench/opponent.py "$@" --threads "$threads" 2>/dev/null | tail -1; }
ours() { "$ours" bench -j "$threads" --json "$@" | tail -1; }
for job in "small 16" "small 64" "middle 16" "middle 64" "large 2" "large 16"; do
    read -r net batch <<<"$job"
    steps=3
    [ "$job" = "large 16" ] && steps=1
    theirs "$net" --batch "$batch" --steps $steps
    theirs "$net" --batch "$batch" --steps $steps --channels-last --conv1-once
    # The third implementation where the batch is small: it is never the fastest.
    [ "$batch" -le 16 ] && theirs "$net" --batch "$batch" --steps 1 --impl spikingjelly --channels-last --conv1-once
    for rate in "" "--rate 0.1"; do
        # shellcheck disable=SC2086
        ours --net "$net" -b "$batch" $rate
    done
done
for net in small middle; do ours --net $net -b 16 --rule stbp; done
ours --net large -b 2 --rule stbp
ours --net large -b 16 --memory 1500M
