"""Labelled pictures from a folder, made ready by the device's own code."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from PIL import Image

from agent.core.camera.frames import Pixels
from agent.core.inference import tensors
from agent.wire.documents import InputContract
from agent.wire.topics import Digest
from deploy.adapters import desk
from deploy.core.factory.training import alike, dataset
from deploy.core.factory.training.alike import Print
from deploy.core.factory.training.dataset import Picture, Shares, Split
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused
from deploy.factory.parent import Arrays
from deploy.factory.samples.spool import spool
from deploy.ports.factory import OnProgress

T = TypeVar("T")
_PIXELS: Final = "pixels"


@dataclass(frozen=True, slots=True)
class Dataset:
    labels: tuple[str, ...]
    split: Split
    fitted: Mapping[str, Pixels]
    """By digest: height x width x channels bytes at the model's size, on disk."""
    remarks: tuple[str, ...]

    def pixels(self, picture: Picture) -> Pixels:
        return self.fitted[picture.digest]


def read(folder: Path, contract: InputContract, shares: Shares, seed: int, tell: OnProgress) -> Dataset:
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
    reading = _Reading(folder, contract, tell)
    again = spool(reading.pictures(places))
    fitted = {
        digest: sample[_PIXELS].astype(np.uint8, copy=False)
        for digest, sample in zip(reading.prints, again(), strict=True)
    }
    remarks = dataset.check_broken(reading.broken, len(reading.found))
    pictures, left_out = dataset.distinct(reading.found, names)
    divided = dataset.divide(_by_moment(pictures, reading.prints, len(names)), names, shares, seed)
    said = (*dataset.few(pictures, names), *dataset.moments(divided, names))
    return Dataset(names, divided, fitted, remarks + left_out + said)


class _Reading:
    """Goes once through all files; what it remembers of a picture is small."""

    def __init__(self, folder: Path, contract: InputContract, tell: OnProgress) -> None:
        self._folder = folder
        self._contract = contract
        self._tell = tell
        self.found: list[Picture] = []
        self.broken: list[str] = []
        self.prints: dict[str, Print] = {}
        """By digest, in the order in which the pictures are given."""

    def pictures(self, places: Sequence[tuple[int, Path]]) -> Iterator[Arrays]:
        """Each picture at the model's size, once."""
        for done, (label, path) in enumerate(places, 1):
            try:
                digest = sha256(desk.read(path)).hexdigest()
                if digest not in self.prints:
                    fitted = tensors.fit(np.asarray(desk.picture(path)), self._contract)
                    self.prints[digest] = _print(fitted)
                    yield {_PIXELS: fitted}
                self.found.append(Picture(str(path), label, Digest(digest)))
            except Refused:
                self.broken.append(str(path.relative_to(self._folder)))
            self._tell(Progress(what="reading pictures", done=done, total=len(places)))


def _print(fitted: Pixels) -> Print:
    flat = Image.fromarray(fitted.squeeze()).convert("RGB")
    return np.asarray(flat.resize((alike.SIDE_PX, alike.SIDE_PX), Image.Resampling.BOX))


def _by_moment(pictures: Sequence[Picture], prints: Mapping[str, Print], labels: int) -> list[Picture]:
    """The same pictures, each with the first of its label that it looks nearly alike."""
    found = []
    for label in range(labels):
        own = sorted((each for each in pictures if each.label == label), key=lambda each: each.digest)
        firsts = alike.groups([prints[each.digest] for each in own])
        sizes = Counter(firsts)
        found += [
            replace(each, moment=own[first].digest) if sizes[first] > 1 else each
            for each, first in zip(own, firsts, strict=True)
        ]
    return found


def _places(folder: Path) -> tuple[tuple[str, ...], list[tuple[int, Path]]]:
    """The labels, and every picture file with the number of its label."""
    found = desk.labelled(folder)
    names = tuple(label.name for label, _ in found)
    dataset.check_labels(names, str(folder))
    return names, [(number, path) for number, (_, pictures) in enumerate(found) for path in pictures]


def in_batches(every: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(every)
    while batch := list(islice(left, size)):
        yield batch
