"""The command: `spiketrain ...` or `python -m spiketrain ...`."""

import signal
import sys

from . import _spiketrain


def main() -> None:
    """Runs the command with the words of this process and exits with its code."""
    # It has its own answer to Ctrl-C: save and stop. Python's would come after it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_spiketrain.command(sys.argv[1:]))


if __name__ == "__main__":
    main()
