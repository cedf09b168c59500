"""Teaching by imprinting: the mean direction of a label's embeddings is its row of class weights.

Source: Qi, Brown, Lowe, "Low-Shot Learning with Imprinted Weights", CVPR 2018, sections 3.1 and 3.2: unit
embeddings, unit rows (the normalized average of a label's embeddings), and one scale before the softmax.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]

FOLDS: Final = 5
_SCALES: Final = tuple(float(scale) for scale in np.geomspace(1.0, 100.0, 61))
_SPARED_SHARE: Final = 0.05
"""Of held-out pictures, how many of the least and of the most alike are left out of account."""
_Z: Final = 1.959964
"""Of a two-sided interval of 95 %."""


@dataclass(frozen=True, slots=True)
class Prototype:
    """What is kept of a label: enough to add pictures to it later."""

    label: str
    pictures: int
    mean: Vectors
    """Of unit vectors: the more alike they are, the nearer its length is to 1."""

    @property
    def unit(self) -> Vectors:
        found: Vectors = self.mean / max(float(np.linalg.norm(self.mean)), 1e-12)
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """A label's pictures, in the order in which they were taken."""

    label: str
    embeddings: Vectors
    """Pictures x D, unit rows."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How alike each picture is to each label, when it and its neighbours had no part in its own label."""

    cosines: Vectors
    """Pictures x labels."""
    truth: NDArray[np.intp]

    @property
    def found(self) -> NDArray[np.intp]:
        best: NDArray[np.intp] = np.argmax(self.cosines, axis=1)
        return best

    @property
    def right(self) -> int:
        return int(np.count_nonzero(self.found == self.truth))


@dataclass(frozen=True, slots=True)
class Confusion:
    """Two labels, and how many held-out pictures of either passed for the other."""

    first: str
    second: str
    mistaken: int
    pictures: int
    similarity: float
    """Cosine between the two rows."""


def imprint(seen: Seen) -> Prototype:
    return Prototype(seen.label, len(seen.embeddings), seen.embeddings.mean(axis=0))


def merged(known: Sequence[Prototype], new: Sequence[Prototype]) -> tuple[Prototype, ...]:
    """All labels, the known ones first; pictures of a label that was known before are added to it."""
    by_label = {prototype.label: prototype for prototype in known}
    for prototype in new:
        before = by_label.get(prototype.label)
        by_label[prototype.label] = prototype if before is None else _sum(before, prototype)
    return tuple(by_label.values())


def _sum(one: Prototype, other: Prototype) -> Prototype:
    pictures = one.pictures + other.pictures
    mean = (one.mean * one.pictures + other.mean * other.pictures) / pictures
    return Prototype(one.label, pictures, mean)


def hold_out(seen: Sequence[Seen], known: Sequence[Prototype]) -> HeldOut:
    """Each picture judged by labels made without it and without its neighbours.

    Frames of one moment are nearly one picture: a run of neighbours is held out at once, a fifth of a label.

    Args:
        seen: the pictures at hand.
        known: labels from earlier; those of the same names take part with what they knew.
    """
    whole = merged(known, [imprint(each) for each in seen])
    rows = np.stack([prototype.unit for prototype in whole])
    places = {prototype.label: place for place, prototype in enumerate(whole)}
    cosines, truth = [], []
    for each in seen:
        place = places[each.label]
        before = [prototype for prototype in known if prototype.label == each.label]
        for run in np.array_split(np.arange(len(each.embeddings)), min(FOLDS, len(each.embeddings))):
            rest = Seen(each.label, np.delete(each.embeddings, run, axis=0))
            without = rows.copy()
            without[place] = merged(before, [imprint(rest)])[0].unit
            cosines.append(each.embeddings[run] @ without.T)
            truth.extend([place] * len(run))
    return HeldOut(np.concatenate(cosines), np.array(truth, np.intp))


def fitted_scale(held: HeldOut) -> float:
    """The scale at which held-out scores are worth what they say.

    It makes the pictures' own labels most likely, each counted as wrong with the share of the rule of
    succession, 1 / (pictures + 2): without that, a few faultless pictures would claim certainty.
    """
    count, labels = held.cosines.shape
    doubt = 1.0 / (count + 2)
    wanted = np.full((count, labels), doubt / max(labels - 1, 1))
    wanted[np.arange(count), held.truth] = 1.0 - doubt
    return min(_SCALES, key=lambda scale: -float(np.sum(wanted * _log_shares(scale * held.cosines))))


def _log_shares(logits: Vectors) -> Vectors:
    shifted = logits - logits.max(axis=1, keepdims=True)
    shares: Vectors = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shares


def familiar(held: HeldOut) -> float:
    """The cosine below which a picture is unlike all labels.

    Half way between what held-out pictures are to their own label and to the others, which stand for all that
    is unknown; where these overlap, nearly every picture of a label still counts as known.
    """
    own = np.zeros(held.cosines.shape, bool)
    own[np.arange(len(held.truth)), held.truth] = True
    near = float(np.quantile(held.cosines[own], _SPARED_SHARE))
    far = float(np.quantile(held.cosines[~own], 1 - _SPARED_SHARE))
    return min(near, (near + far) / 2)


def confusions(held: HeldOut, whole: Sequence[Prototype]) -> tuple[Confusion, ...]:
    """Pairs of labels of which held-out pictures were mistaken, the worst first."""
    mistaken: dict[tuple[int, int], int] = {}
    for truth, found in zip(held.truth, held.found, strict=True):
        if truth != found:
            pair = (int(min(truth, found)), int(max(truth, found)))
            mistaken[pair] = mistaken.get(pair, 0) + 1
    pairs = sorted(mistaken, key=lambda pair: (-mistaken[pair], pair))
    return tuple(_confusion(held, whole, pair, mistaken[pair]) for pair in pairs)


def _confusion(held: HeldOut, whole: Sequence[Prototype], pair: tuple[int, int], mistaken: int) -> Confusion:
    one, other = (whole[place] for place in pair)
    pictures = int(np.count_nonzero(np.isin(held.truth, pair)))
    return Confusion(one.label, other.label, mistaken, pictures, float(one.unit @ other.unit))


def closest(whole: Sequence[Prototype]) -> tuple[str, str, float]:
    """The two labels whose rows are most alike, and their cosine."""
    rows = np.stack([prototype.unit for prototype in whole])
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -2.0)
    one, other = np.unravel_index(int(np.argmax(cosines)), cosines.shape)
    first, second = sorted((int(one), int(other)))
    return whole[first].label, whole[second].label, float(cosines[one, other])


def interval(right: int, total: int) -> tuple[float, float]:
    """Of a share, with a confidence of 95 %.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    share, square = right / total, _Z**2 / total
    middle = (share + square / 2) / (1 + square)
    reach = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total)) / (1 + square)
    return max(0.0, middle - reach), min(1.0, middle + reach)
