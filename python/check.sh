#!/usr/bin/env bash
# The Python package: builds the wheel, installs it into an empty environment and runs python/tests there; SKIPPED where that cannot be.
# SPIKETRAIN_TORCH names a Python that has torch, for the test that wants it.
set -euo pipefail
cd "$(dirname "$0")"
skip() {
    echo "SKIPPED: Python package: $*"
    exit 0
}
python=${PYTHON:-python3}
command -v "$python" >/dev/null || skip "there is no $python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || skip "$python is older than 3.9"

# The target folder of the program, where dependencies are built already; the environment of the tools is kept there, too.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target}
tools=$CARGO_TARGET_DIR/python-tools
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! "$tools/bin/maturin" --version >/dev/null 2>&1; then
    "$python" -m venv "$tools" >/dev/null || skip "there is no module venv (Debian: apt install python3-venv)"
    timeout 300 "$tools/bin/pip" install -q "maturin>=1.9,<2" || skip "maturin cannot be fetched from PyPI"
fi

cargo fmt --check
cargo clippy --locked -- -D warnings
since=$SECONDS
"$tools/bin/maturin" build --quiet --strip --locked --interpreter "$python" --out "$work" "$@"
wheel=("$work"/*.whl)
echo "wheel ${wheel[0]##*/}: $(stat -c %s "${wheel[0]}") bytes, built in $((SECONDS - since)) s"

"$python" -m venv "$work/empty"
since=$SECONDS
timeout 300 "$work/empty/bin/pip" install -q "${wheel[0]}" || skip "numpy cannot be fetched from PyPI"
echo "installed into an empty environment in $((SECONDS - since)) s"
tests=$PWD/tests
cd "$work" # the package is the installed one, not the folder beside the tests
"$work/empty/bin/python" -m unittest discover -s "$tests"

torch=${SPIKETRAIN_TORCH:-}
if [ -n "$torch" ] && "$torch" -c "import torch" 2>/dev/null; then
    "$work/empty/bin/pip" install -q --no-deps --target "$work/site" "${wheel[0]}"
    PYTHONPATH=$work/site "$torch" -m unittest discover -s "$tests" -p test_gradients.py
fi
