#!/usr/bin/env bash
# Makes the Python environment of tests/frameworks.rs: prints the path of its python, or SKIPPED and why.
#
# torch from PyPI brings gigabytes of CUDA, so it is made only when SPIKETRAIN_FRAMEWORKS=1 asks for it. SPIKETRAIN_FRAMEWORKS=PATH names an
# environment that is there.
set -uo pipefail
want=${SPIKETRAIN_FRAMEWORKS:-}
packages="torch numpy h5py nir==1.0.8 nirtorch snntorch==1.0.0 spikingjelly==2.0.0 norse==1.1.0"
works() { [ -x "$1" ] && "$1" -c "import torch, nir, snntorch, spikingjelly, norse" >/dev/null 2>&1; }

case $want in
"") echo "SKIPPED: frameworks: SPIKETRAIN_FRAMEWORKS=1 makes an environment with torch (5.5 GB), SPIKETRAIN_FRAMEWORKS=DIR names one" ;;
1)
    dir=${XDG_CACHE_HOME:-$HOME/.cache}/spiketrain/frameworks
    if works "$dir/bin/python"; then
        echo "$dir/bin/python"
    elif ! command -v python3 >/dev/null; then
        echo "SKIPPED: frameworks: there is no python3"
    elif mkdir -p "$dir" && timeout 1200 bash -c "python3 -m venv '$dir' && '$dir/bin/pip' install --quiet $packages" >&2 && works "$dir/bin/python"; then
        echo "$dir/bin/python"
    else
        echo "SKIPPED: frameworks: the environment could not be made in 20 minutes (no network, or no disk?)"
    fi
    ;;
*) if works "$want/bin/python"; then echo "$want/bin/python"; else echo "SKIPPED: frameworks: $want has no python with torch, nir, snntorch, spikingjelly and norse"; fi ;;
esac
