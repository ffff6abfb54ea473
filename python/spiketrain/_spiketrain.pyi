# The compiled part. What the options mean: `spiketrain train --help`; what the functions do: their docstrings, docs/python.md.
import os
from typing import Any, Callable, Dict, List, Literal, Optional, Sequence, Tuple, TypedDict, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Unpack

from .results import Forward, LossAndGradients

Path = Union[str, os.PathLike[str]]
Callback = Callable[[Dict[str, Any]], object]
Rule = Literal["stbp", "stbp-detached", "bpsa", "bpsa+bpta"]
Split = Literal["train", "test"]

__version__: str

class _TrainingOptions(TypedDict, total=False):
    rule: Optional[Rule]
    alpha: Optional[float]
    batch: Optional[int]
    epochs: Optional[int]
    lr: Optional[float]
    weight_decay: Optional[float]
    schedule: Optional[str]
    warm_up: Optional[str]
    bn: Optional[Literal["per-step", "merged"]]
    loss: Optional[Literal["mse", "ce"]]
    seed: Optional[int]
    eval_every: Optional[int]

class _DataOptions(TypedDict, total=False):
    data_dir: Optional[Path]
    images_dir: Optional[Path]
    events_dir: Optional[Path]
    cache: Optional[Path]
    size: Optional[Sequence[int]]
    grey: Optional[bool]
    allow_partial: Optional[bool]
    T: Optional[int]
    time_steps: Optional[int]
    train_limit: Optional[int]
    test_limit: Optional[int]
    augment: Optional[bool]
    split_by: Optional[Literal["number", "time"]]
    resize: Optional[Literal["none", "nearest", "sum"]]
    event_drop: Optional[float]
    event_noise: Optional[float]
    strict: Optional[bool]
    sort: Optional[bool]

class _DatasetOptions(_DataOptions, total=False):
    seed: Optional[int]

class _NetworkOptions(_TrainingOptions, _DataOptions, total=False):
    dataset: Optional[str]
    threshold: Optional[float]
    decay: Optional[float]
    relu: Optional[bool]
    engine: Optional[Literal["cpu", "reference"]]
    isa: Optional[Literal["portable", "neon", "avx2", "avx512"]]

class _RunOptions(_NetworkOptions, total=False):
    net: Optional[str]
    init: Optional[Path]
    checkpoint_every: Optional[int]
    credit_every: Optional[int]
    val_split: Optional[float]
    best_on: Optional[Literal["validation", "test", "last"]]

class Network:
    def __new__(cls, notation: str, shape: Tuple[int, int, int], *, classes: int = 10, **keywords: Unpack[_NetworkOptions]) -> Network: ...
    @property
    def notation(self) -> str: ...
    @property
    def shape(self) -> Tuple[int, int, int]: ...
    @property
    def classes(self) -> List[str]: ...
    @property
    def layers(self) -> List[str]: ...
    @property
    def options(self) -> Dict[str, Any]: ...
    @property
    def weights_sha256(self) -> str: ...
    def state(self) -> Dict[str, NDArray[np.float32]]: ...
    def set_state(self, values: Dict[str, ArrayLike]) -> None: ...
    def forward(self, x: ArrayLike, T: Optional[int] = None, *, spikes: bool = True) -> Forward: ...
    def loss_and_gradients(
        self, x: ArrayLike, labels: ArrayLike, T: Optional[int] = None, *, step: int = 1, update_statistics: bool = False
    ) -> LossAndGradients: ...
    def dropout_masks(self, samples: int, *, step: int = 1) -> List[NDArray[np.bool_]]: ...
    def train(
        self,
        x: ArrayLike,
        labels: ArrayLike,
        *,
        test: Optional[Tuple[ArrayLike, ArrayLike]] = None,
        callback: Optional[Callback] = None,
        **keywords: Unpack[_TrainingOptions],
    ) -> List[Dict[str, Any]]: ...
    def evaluate(self, x: ArrayLike, labels: ArrayLike, T: Optional[int] = None, *, batch: Optional[int] = None) -> Dict[str, Any]: ...
    def save(self, path: Path) -> None: ...

class Dataset:
    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> Tuple[int, int, int]: ...
    @property
    def steps(self) -> Optional[int]: ...
    @property
    def classes(self) -> List[str]: ...
    @property
    def notes(self) -> List[str]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def simulated(self) -> bool: ...
    def labels(self, split: Split) -> NDArray[np.int64]: ...
    def batch(self, split: Split, indices: Optional[Sequence[int]] = None, *, augment: Optional[int] = None) -> NDArray[np.float32]: ...

def train(
    *,
    callback: Optional[Callback] = None,
    out: Optional[Path] = None,
    resume: Optional[Path] = None,
    config: Optional[Path] = None,
    memory: Optional[str] = None,
    **keywords: Unpack[_RunOptions],
) -> Dict[str, Any]: ...
def evaluate(path: Path, *, data_dir: Optional[Path] = None, cache: Optional[Path] = None) -> Dict[str, Any]: ...
def load(path: Path) -> Network: ...
def dataset(name: str = "glyphs", **keywords: Unpack[_DatasetOptions]) -> Dataset: ...
def read_events(path: Path) -> Tuple[NDArray[np.uint8], Optional[Tuple[int, int]], str, int, List[str]]: ...
def frames(packed: NDArray[np.uint8], steps: int, sensor: Tuple[int, int], split_by: str, strict: bool, sort: bool) -> NDArray[np.uint16]: ...
def command(words: Sequence[str]) -> int: ...
