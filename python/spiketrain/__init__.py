"""Deep spiking neural networks, trained event-driven, from Python: numpy arrays in and out.

    import spiketrain
    data = spiketrain.dataset("glyphs", train_limit=2000, test_limit=500)
    net = spiketrain.Network("16C3-MP2-32C3-MP2-128FC-10Voting", data.shape, T=4)
    net.train(data.batch("train"), data.labels("train"), epochs=3, batch=64)
    net.evaluate(data.batch("test"), data.labels("test"))["accuracy"]

Shapes: T time steps, B samples, C channels, H height, W width. Options are those of the command `spiketrain train`, with _ for -.
The GIL is released during work. Errors: spiketrain.errors.
"""

from ._spiketrain import Dataset, Network, __version__, dataset, evaluate, load, train
from .errors import BugError, DivergedError, Error, FormatError, MemoryPlanError, StorageError, UsageError
from .events import EVENT, frames, read_events
from .results import Forward, LossAndGradients, Recording

__all__ = [
    "EVENT",
    "BugError",
    "Dataset",
    "DivergedError",
    "Error",
    "FormatError",
    "Forward",
    "LossAndGradients",
    "MemoryPlanError",
    "Network",
    "Recording",
    "StorageError",
    "UsageError",
    "__version__",
    "dataset",
    "evaluate",
    "frames",
    "load",
    "read_events",
    "train",
]
