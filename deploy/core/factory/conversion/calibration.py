"""Which samples set the ranges of a quantized model, and what their operator should know about them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.core.inference import tensors
from agent.wire.topics import Digest, sha256
from deploy.core.factory.conversion.words import SAMPLES_ADVISED, Calibration, Signature, TensorForm
from deploy.core.factory.words import Look

Array = NDArray[np.generic]
_FEW, SAMPLES_MAX = SAMPLES_ADVISED
_IMAGE_RANK: Final = 4
_FAR: Final = 2.0
"""How many times the width of the range that a device feeds may be left before it is worth a word."""
_NARROW: Final = 0.6
"""Samples that fill a smaller share of that range were likely scaled otherwise."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may become a sample."""

    group: str
    """Its folder: files of one label, by custom."""
    digest: str
    """Of its content."""
    place: str


@dataclass(frozen=True, slots=True)
class Chosen:
    candidates: tuple[Candidate, ...]
    """By digest: the same for the same files, whatever they are called and however the disk lists them."""
    found: int
    duplicates: int

    def remarks(self, place: str) -> tuple[str, ...]:
        different, taken = self.found - self.duplicates, len(self.candidates)
        double = f"{self.duplicates} of {self.found} pictures in {place} are there twice, and count once"
        some = f"{taken} of the {different} pictures in {place} are taken, evenly from each folder"
        return (*([double] if self.duplicates else []), *([some] if taken < different else []))


def choose(candidates: Iterable[Candidate], at_most: int = SAMPLES_MAX) -> Chosen:
    """As many of each group as there are, in turns, until there are enough; each content once."""
    all_of_them = list(candidates)
    # Of equal files the first by name: which group it stands for must not depend on the disk.
    single = {each.digest: each for each in sorted(all_of_them, key=lambda c: c.place, reverse=True)}
    groups: dict[str, list[Candidate]] = {}
    for each in sorted(single.values(), key=lambda candidate: candidate.digest):
        groups.setdefault(each.group, []).append(each)
    turns = sorted(
        ((turn, each.digest, each) for group in groups.values() for turn, each in enumerate(group)),
        key=lambda entry: entry[:2],
    )
    taken = sorted((each for _, _, each in turns[:at_most]), key=lambda candidate: candidate.digest)
    return Chosen(tuple(taken), len(all_of_them), len(all_of_them) - len(single))


def evenly(count: int, at_most: int | None) -> tuple[int, ...]:
    """Indices spread over all samples, not the first ones: sets are often sorted by label.

    Args:
        count: of all samples.
        at_most: so many are taken; None: all.
    """
    taken = count if at_most is None else min(count, at_most)
    return tuple(index * count // taken for index in range(taken))


class Observer:
    """Watches the samples of one signature go by: their digest and their ranges.

    The digest is over every array in its order: name, shape, type and bytes (little-endian, C order).
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.samples = 0
        self._all = hashlib.sha256()
        self._kinds: set[bytes] = set()
        self._least: dict[str, Array] = {}
        self._most: dict[str, Array] = {}

    def see(self, sample: Mapping[str, Array]) -> None:
        one = hashlib.sha256()
        for form in self.signature.inputs:
            array = sample[form.name]
            one.update(f"{form.name}\0{array.dtype.str[1:]}\0{array.shape}\0".encode())
            one.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            if array.dtype.kind in "fiu" and array.size:
                self._span(form.name, array)
        self._all.update(one.digest())
        self._kinds.add(one.digest())
        self.samples += 1

    def _span(self, name: str, array: Array) -> None:
        """By channel, as far as the last axis counts them."""
        flat = array.reshape(-1, array.shape[-1] if array.ndim == _IMAGE_RANK else 1)
        least, most = flat.min(axis=0), flat.max(axis=0)
        self._least[name] = np.minimum(self._least.get(name, least), least)
        self._most[name] = np.maximum(self._most.get(name, most), most)

    @property
    def digest(self) -> Digest:
        return Digest(self._all.hexdigest())

    def remarks(self, look: Look | None, place: str) -> tuple[str, ...]:
        """What is no fault and may yet spoil the result.

        Args:
            look: what the device will make of a picture; None: it has made the samples itself.
            place: where the samples came from.
        """
        found = [self._number(place), self._sameness(place)]
        for form in self.signature.inputs:
            if form.name in self._least and is_picture(form) and np.dtype(form.dtype).kind == "f":
                scaled = "" if look is None else self._range(form, look, place)
                found += [scaled, self._channels(form, place)]
        return tuple(remark for remark in found if remark)

    def _number(self, place: str) -> str:
        if self.samples >= _FEW:
            return ""
        samples = "1 sample" if self.samples == 1 else f"{self.samples} samples"
        return (
            f"{place} gives {samples}: {_FEW} to {SAMPLES_MAX} are advised, "
            "ranges that these do not reach are cut off on the device"
        )

    def _sameness(self, place: str) -> str:
        again = self.samples - len(self._kinds)
        if not again:
            return ""
        if len(self._kinds) == 1:
            return f"{place}: all {self.samples} samples are the same, so they show one point of every range"
        return f"{place}: {again} of {self.samples} samples repeat another one and add nothing"

    def _range(self, form: TensorForm, look: Look, place: str) -> str:
        least, most = float(self._least[form.name].min()), float(self._most[form.name].max())
        low, high = fed(look)
        width, far = most - least, _FAR * (high - low)
        if low - far <= least and most <= high + far and (width >= _NARROW * (high - low) or not width):
            return ""
        return (
            f"{place}: {form.name} runs from {least:.4g} to {most:.4g}, and a device feeds {low:.4g} to "
            f"{high:.4g}: scale the samples like that, or say with --mean and --std how a device shall scale"
        )

    def _channels(self, form: TensorForm, place: str) -> str:
        constant = [
            str(channel)
            for channel, (least, most) in enumerate(
                zip(self._least[form.name], self._most[form.name], strict=True)
            )
            if least == most
        ]
        if not constant or self.samples == 1:
            return ""
        return f"{place}: channel {', '.join(constant)} of {form.name} is constant over all samples"


def fed(look: Look) -> tuple[float, float]:
    """The least and the most that a device feeds a float input with."""
    scaling = look.normalization or tensors.UNDECLARED
    ends = [
        (level - mean) / std
        for mean, std in zip(scaling.mean, scaling.std, strict=True)
        for level in (0, 255)
    ]
    return min(ends), max(ends)


def is_picture(form: TensorForm) -> bool:
    """Whether the input takes batches of gray or colour pictures with the channels last."""
    return len(form.shape) == _IMAGE_RANK and form.shape[3] in {1, 3}


def together(observers: Sequence[Observer]) -> Calibration:
    """Of all signatures, in the order of their names."""
    ordered = sorted(observers, key=lambda observer: observer.signature.name)
    if len(ordered) == 1:
        return Calibration(samples=ordered[0].samples, digest=ordered[0].digest)
    named = "".join(f"{each.signature.name}\0{each.digest}\0" for each in ordered)
    return Calibration(samples=sum(each.samples for each in ordered), digest=sha256(named.encode()))
