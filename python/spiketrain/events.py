"""Recordings of event cameras as structured arrays, and frames of them."""

import os
from typing import Any, Optional, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from . import _spiketrain
from .errors import UsageError
from .results import Recording

#: An event: time in microseconds, column from the left, row from the top, polarity (1 brighter, 0 darker). The compiled part packs
#: the same 13 bytes.
EVENT = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])


def read_events(path: Union[str, "os.PathLike[str]"]) -> Recording:
    """Reads a recording: 40-bit events (.bin, .bs2), AEDAT 2.0 of a DVS128, AEDAT 3.1, or .npz with arrays t, x, y, p.

    The format is told from the content. Events come in file order, neither sorted nor checked against the sensor.
    Raises FormatError (what is wrong at which byte), UsageError (no such file) and StorageError.
    """
    packed, sensor, name, invalid, notes = _spiketrain.read_events(path)
    return Recording(packed.view(EVENT), sensor, name, invalid, notes)


def frames(
    events: Union[Recording, NDArray[Any]],
    T: int,
    sensor: Optional[Tuple[int, int]] = None,
    *,
    split_by: str = "number",
    strict: bool = False,
    sort: bool = False,
) -> NDArray[np.uint16]:
    """Counts events per time slice, polarity, row and column: [T, 2, H, W], polarity 0 first.

    events: a Recording, or an array with fields t, x, y, p. sensor: (width, height); needed where the recording has none.
    split_by: "number" (slices of floor(N/T) events, the last takes the rest) or "time" (equal windows).
    Events outside the sensor are left out; FormatError if more than 1 % of the events are bad, or any if strict.
    sort: put events in the order of their times first, those of one time as they stand.
    """
    if isinstance(events, Recording):
        events, sensor = events.events, sensor or events.sensor
    if sensor is None:
        raise UsageError("the size of the sensor is not known", "sensor", "give sensor=(width, height)")
    names = getattr(getattr(events, "dtype", None), "names", None) or ()
    missing = [name for name in EVENT.names or () if name not in names]
    if missing:
        raise UsageError(f"the array has no field {', '.join(missing)}", "events", "give an array of dtype spiketrain.EVENT")
    packed = np.empty(len(events), EVENT)
    for name in EVENT.names or ():
        field = events[name]
        if field.size and not (np.can_cast(field.dtype, EVENT[name]) or np.array_equal(field.astype(EVENT[name]), field)):
            raise UsageError(f"the values of {name} do not fit {EVENT[name]}", "events", "give an array of dtype spiketrain.EVENT")
        packed[name] = field
    return _spiketrain.frames(packed.view(np.uint8), T, sensor, split_by, strict, sort)
