"""What functions return: named tuples of numpy arrays."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from numpy.typing import NDArray


class Forward(NamedTuple):
    """What a network says.

    rates: [B, classes], mean over T and over the 10 voters of a class; argmax(1) is the decision.
    spikes: per layer [T, B, C, H, W], True for a spike (a fully connected layer has H = W = 1); empty if not asked for.
    firing_rates: [layers], spikes / (T * B * neurons).
    """

    rates: NDArray[np.float64]
    spikes: List[NDArray[np.bool_]]
    firing_rates: NDArray[np.float64]


class LossAndGradients(NamedTuple):
    """What a training step would be made of.

    loss: mean over the batch. gradients: by name, in the shapes of Network.state(). rates: [B, classes].
    spike_counts: [layers], over T, B and neurons.
    """

    loss: float
    gradients: Dict[str, NDArray[np.float32]]
    rates: NDArray[np.float64]
    spike_counts: List[int]


class Recording(NamedTuple):
    """A recording of an event camera.

    events: [N] of dtype EVENT, in file order, as the file says. sensor: (width, height) where the format has one.
    format: nmnist, aedat2, aedat3 or npz. invalid: events that the file marks as invalid, left out. notes: what you should know.
    """

    events: NDArray[Any]
    sensor: Optional[Tuple[int, int]]
    format: str
    invalid: int
    notes: List[str]
