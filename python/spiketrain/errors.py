"""What goes wrong, where, and what to do about it; a class for each sort of failure, with the exit code of the command."""


class Error(Exception):
    """Any error of spiketrain.

    what: what was expected and what was found. place: a file, a byte, an option; may be empty. remedy: what to do; may be empty.
    """

    exit_code = 1

    def __init__(self, what: str, place: str = "", remedy: str = "") -> None:
        super().__init__(what, place, remedy)
        self.what, self.place, self.remedy = what, place, remedy

    def __str__(self) -> str:
        place = f"{self.place}: " if self.place else ""
        remedy = f"\n  remedy: {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"


class BugError(Error):
    """A defect of spiketrain itself."""


class UsageError(Error, ValueError):
    """A wrong option, notation, shape or label, or a data set that is not there."""

    exit_code = 2


class FormatError(Error, ValueError):
    """A file whose content is not what its format says."""

    exit_code = 2


class DivergedError(Error, ArithmeticError):
    """A current, loss, gradient or weight is no longer finite."""

    exit_code = 3


class StorageError(Error):
    """Reading or writing failed: permissions, a full disk, a folder in use."""

    exit_code = 4


class MemoryPlanError(Error, MemoryError):
    """The plan does not fit into memory; said before any work."""

    exit_code = 5
