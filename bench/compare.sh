#!/usr/bin/env bash
# compare.py under a Python that has torch, numpy and spikingjelly, which the opponent needs, too.
#   bench/compare.sh [PYTHON] [OPTIONS]       (--help says which; about 20 minutes on two cores, nothing else running)
python=python3
case ${1:--} in -*) ;; *) python=$1 && shift ;; esac
exec "$python" "$(dirname "$0")/compare.py" "$@"
