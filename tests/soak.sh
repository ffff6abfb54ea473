#!/usr/bin/env bash
# Mixed faults for an hour, outside the CI: tests/soak.sh [MINUTES]. Rounds of the tests of storage and runs, each with four times the
# cases and other random ones; the logs stay in target/soak/. Prints how many cases there were, and every failure.
set -uo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-60}
tests=(--test crash --test damage --test interrupted --test same_bits)
cargo test --locked --no-run "${tests[@]}" || exit 1
logs=target/soak
rm -rf "$logs"
mkdir -p "$logs"
export SPIKETRAIN_SOAK=4 SPIKETRAIN_SOAK_ROUND=0 RUST_BACKTRACE=1
failed=0
while ((SECONDS < 60 * minutes)); do
    SPIKETRAIN_SOAK_ROUND=$((SPIKETRAIN_SOAK_ROUND + 1))
    log=$logs/round-$SPIKETRAIN_SOAK_ROUND.log
    cargo test --locked --no-fail-fast "${tests[@]}" -- --show-output >"$log" 2>&1 || failed=$((failed + 1))
    echo "round $SPIKETRAIN_SOAK_ROUND, $((SECONDS / 60)) min: $(grep -c '^test .* ok$' "$log") tests passed, $(grep -c '^test .* FAILED$' "$log") failed"
done
echo "== cases of all rounds"
# Lines such as "1132 cases: what they were" of every log, added up by what they were.
grep -hE '^[0-9]+ cases' "$logs"/*.log | sed -E 's/[0-9]+ (of them|ms|MiB|times)[^,;]*//g' |
    awk '{ n = $1; $1 = ""; gsub(/[0-9]+/, "N"); sum[$0] += n } END { for (what in sum) printf "%9d%s\n", sum[what], what }' | sort -rn
grep -h '^SKIPPED' "$logs"/*.log | sort | uniq -c
grep -hE '^(test .* FAILED|thread .* panicked)' "$logs"/*.log
echo "== $SPIKETRAIN_SOAK_ROUND rounds, $failed with failures, $((SECONDS / 60)) min"
exit $((failed > 0))
