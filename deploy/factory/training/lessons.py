"""What a classifier learns from: arrays in a file, what a function gives, or labelled folders of pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.core.camera.frames import Pixels
from agent.core.inference import tensors
from agent.core.tflite import invocation
from agent.wire.documents import Dtype, InputContract
from deploy.adapters import npz_file
from deploy.core.factory.conversion import kinds
from deploy.core.factory.training import supervised
from deploy.core.factory.training.dataset import Picture, Shares
from deploy.core.factory.training.supervised import Lesson, Taught, Wanted
from deploy.core.factory.training.words import Optimize
from deploy.core.factory.words import Look
from deploy.core.refusal import Refused
from deploy.factory.sources import functions
from deploy.factory.training import dataset
from deploy.ports.factory import OnProgress

_PARTS: Final = ("x", "y")
_HELD_OUT: Final = ("x_test", "y_test")
_VALIDATION_LEAST: Final = 1e-9
"""Of labelled folders; nothing here chooses when to stop, and those pictures join the training."""


@dataclass(frozen=True, slots=True)
class _OnDisk:
    """Pictures that a folder was read into; see `spool`."""

    pixels: Sequence[Pixels]
    shape: tuple[int, ...]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = np.stack([self.pixels[row] for row in rows])
        return found.reshape(len(rows), *self.shape)


def read(order: Optimize, wanted: Wanted, tell: OnProgress) -> Lesson:
    """
    Raises:
        Refused: it cannot be read, or is not what this model can learn from.
    """
    place = Path(order.data)
    if place.is_dir():
        return _of_folder(place, order, wanted, tell)
    if not kinds.is_function(order.data):
        return _of_arrays(_loaded(place), order, wanted)
    return _of_arrays(
        _named(functions.call(order.data, functions.find(order.data)), order.data), order, wanted
    )


def _loaded(path: Path) -> Mapping[str, NDArray[Any]]:
    with npz_file.opened(path) as held:
        return {name: held[name] for name in (*_PARTS, *_HELD_OUT) if name in held} or dict(held)


def _named(given: object, place: str) -> Mapping[str, NDArray[Any]]:
    if isinstance(given, Mapping):
        return {str(name): np.asarray(array) for name, array in given.items()}
    if isinstance(given, (list, tuple)) and len(given) == len(_PARTS):
        return {name: np.asarray(array) for name, array in zip(_PARTS, given, strict=True)}
    raise Refused(f"{place} gives {type(given).__name__}: give (x, y), or a mapping with x and y")


def _of_arrays(arrays: Mapping[str, NDArray[Any]], order: Optimize, wanted: Wanted) -> Lesson:
    missing = [name for name in _PARTS if name not in arrays]
    if missing:
        has = ", ".join(arrays) or "nothing"
        raise Refused(
            f"{order.data} has {has} and lacks {', '.join(missing)}: x are the samples, y their classes"
        )
    taught = _checked(arrays, _PARTS, order, wanted)
    if all(name in arrays for name in _HELD_OUT):
        return Lesson(taught, _checked(arrays, _HELD_OUT, order, wanted))
    return supervised.divide(taught, order.held_out, order.seed, order.data)


def _checked(
    arrays: Mapping[str, NDArray[Any]], names: Sequence[str], order: Optimize, wanted: Wanted
) -> Taught:
    inputs, labels = (arrays[name] for name in names)
    return supervised.check(inputs, labels, wanted, order.look, order.data)


def _of_folder(folder: Path, order: Optimize, wanted: Wanted, tell: OnProgress) -> Lesson:
    shares = Shares(validation=_VALIDATION_LEAST, test=order.held_out)
    found = dataset.read(folder, _contract(order.look, wanted), shares, order.seed, tell)
    if len(found.labels) != wanted.classes:
        raise Refused(
            f"{folder} has {len(found.labels)} labels, and the model gives {wanted.classes} numbers: give "
            "data and a model of the same classes, the folders in their order by name"
        )

    def taught(pictures: Sequence[Picture]) -> Taught:
        return Taught(
            _OnDisk([found.pixels(picture) for picture in pictures], wanted.shape),
            np.array([picture.label for picture in pictures], np.int64),
            order.look.normalization or tensors.UNDECLARED,
        )

    split = found.split
    return Lesson(taught([*split.training, *split.validation]), taught(split.test), found.remarks)


def _contract(look: Look, wanted: Wanted) -> InputContract:
    shape = wanted.shape
    if len(shape) not in {2, 3} or min(shape) < 1 or shape[2:] not in {(), (1,), (3,)}:
        raise Refused(
            f"the model takes {invocation.said(shape)}, which is no picture: give its data as .npz "
            "or module:function"
        )
    return InputContract(
        height_px=shape[0],
        width_px=shape[1],
        channels=3 if shape[2:] == (3,) else 1,
        dtype=Dtype.FLOAT32,
        fit=look.fit,
        quantization=None,
        normalization=look.normalization,
    )
