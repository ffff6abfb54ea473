#!/usr/bin/env bash
# Makes the Python environment of tests/frameworks.rs: prints the path of its python, or SKIPPED and why.
#
# torch from PyPI brings gigabytes of CUDA, so it is made only when SPIKETRAIN_FRAMEWORKS=1 asks for it, and used from then on.
# SPIKETRAIN_FRAMEWORKS=DIR names another one that is there.
set -uo pipefail
want=${SPIKETRAIN_FRAMEWORKS:-}
packages="torch numpy h5py nir==1.0.8 nirtorch snntorch==1.0.0 spikingjelly==2.0.0 norse==1.1.0"
made=${XDG_CACHE_HOME:-$HOME/.cache}/spiketrain/frameworks
works() { [ -x "$1" ] && "$1" -c "import torch, nir, snntorch, spikingjelly, norse" >/dev/null 2>&1; }

case $want in
"") if works "$made/bin/python"; then echo "$made/bin/python"; else echo "SKIPPED: frameworks: SPIKETRAIN_FRAMEWORKS=1 makes an environment with torch (5.5 GB), SPIKETRAIN_FRAMEWORKS=DIR names one"; fi ;;
1)
    if works "$made/bin/python"; then
        echo "$made/bin/python"
    elif ! command -v python3 >/dev/null; then
        echo "SKIPPED: frameworks: there is no python3"
    elif mkdir -p "$made" && timeout 1200 bash -c "python3 -m venv '$made' && '$made/bin/pip' install --quiet $packages" >&2 && works "$made/bin/python"; then
        echo "$made/bin/python"
    else
        echo "SKIPPED: frameworks: the environment could not be made in 20 minutes (no network, or no disk?)"
    fi
    ;;
*) if works "$want/bin/python"; then echo "$want/bin/python"; else echo "SKIPPED: frameworks: $want has no python with torch, nir, snntorch, spikingjelly and norse"; fi ;;
esac
