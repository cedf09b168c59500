"""Labelled pictures from a folder, made ready by the device's own code."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np

from agent.core.camera.frames import Pixels
from agent.core.inference import tensors
from agent.wire.documents import InputContract
from agent.wire.topics import Digest
from deploy.adapters import desk
from deploy.core.factory.training import dataset
from deploy.core.factory.training.dataset import Picture, Shares, Split
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused

T = TypeVar("T")
Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Dataset:
    labels: tuple[str, ...]
    split: Split
    fitted: dict[str, Pixels]
    """By digest: height x width x channels bytes at the model's size."""
    remarks: tuple[str, ...]

    def pixels(self, picture: Picture) -> Pixels:
        return self.fitted[picture.digest]


def read(folder: Path, contract: InputContract, shares: Shares, seed: int, tell: Tell) -> Dataset:
    """
    Args:
        folder: holds one folder a label, and pictures in those, at any depth.
        contract: the size, and how pictures are fitted to it.
        shares: of the parts that choose and judge.
        seed: another one divides otherwise.
        tell: hears how many pictures are read.

    Raises:
        Refused: there are too few labels or pictures, too many broken files, or a folder that cannot be a
            label.
    """
    names, places = _places(folder)
    fitted: dict[str, Pixels] = {}
    found, broken = [], []
    for done, (label, path) in enumerate(places, 1):
        picture = _read(path, label, contract, fitted)
        if picture is None:
            broken.append(str(path.relative_to(folder)))
        else:
            found.append(picture)
        tell(Progress(what="reading pictures", done=done, total=len(places)))
    remarks = dataset.check_broken(broken, len(found))
    pictures, left_out = dataset.distinct(found, names)
    divided = dataset.divide(pictures, names, shares, seed)
    return Dataset(names, divided, fitted, remarks + left_out + dataset.few(pictures, names))


def _places(folder: Path) -> tuple[tuple[str, ...], list[tuple[int, Path]]]:
    """The labels, and every picture file with the number of its label."""
    try:
        folders = sorted(
            (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")),
            key=lambda path: path.name,
        )
    except OSError as error:
        raise Refused(f"{folder}: {error.strerror}") from error
    names = tuple(path.name for path in folders)
    dataset.check_labels(names, str(folder))
    return names, [(label, path) for label, below in enumerate(folders) for path in _pictures(below)]


def _pictures(folder: Path) -> Sequence[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in desk.PICTURES and path.is_file()
    )


def _read(path: Path, label: int, contract: InputContract, fitted: dict[str, Pixels]) -> Picture | None:
    """None: it is no picture."""
    try:
        digest = sha256(desk.read(path)).hexdigest()
        if digest not in fitted:
            fitted[digest] = tensors.fit(np.asarray(desk.picture(path)), contract)
    except Refused:
        return None
    return Picture(str(path), label, Digest(digest))


def in_batches(every: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (every[start : start + size] for start in range(0, len(every), size))
