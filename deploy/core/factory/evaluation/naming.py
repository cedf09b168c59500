"""One list of classes for models and data that name them differently."""

import difflib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from deploy.core.refusal import Refused

_NUMBERED: Final = re.compile(r"(?:class )?(\d{1,6})")
_SHOWN_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Named:
    """A model and what it calls its classes."""

    file: str
    classes: int
    labels: tuple[str, ...]
    """As many as classes; none where neither the file nor the operator says."""
    fault: str = ""
    """Why the labels that were given are not its own."""


@dataclass(frozen=True, slots=True)
class Shared:
    labels: tuple[str, ...]
    classes: tuple[tuple[int, ...], ...]
    """For each model: for each of its classes, its place in `labels`."""
    numbered: bool
    """No model has names: the labels are numbers."""
    remarks: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """The labels for a reader: where several classes are called the same, each with its number."""
        counts = Counter(self.labels)
        return tuple(
            f"{label} (class {place})" if counts[label] > 1 else label
            for place, label in enumerate(self.labels)
        )


def shared(models: Sequence[Named]) -> Shared:
    """All classes of all models, those of the first model first.

    A class of one list is that of another where a name is the same, or one of several names that stand
    between commas (`tench, Tinca tinca` is `tench`). Where a name occurs twice, the first is the first.

    Raises:
        Refused: models without names differ in their number of classes.
    """
    named = [_with_names(model, models) for model in models]
    numbered = not any(model.labels for model in named)
    if numbered:
        return _numbered(named)
    bare = [model for model in named if not model.labels]
    if bare:
        if bare[0].fault:
            raise Refused(f"{bare[0].file}: {bare[0].fault}")
        raise Refused(
            f"{bare[0].file} has {bare[0].classes} classes and no labels, and no other model here names as "
            "many: give a file of that many labels with --labels"
        )
    merged = _Merged()
    classes = tuple(merged.add(model.labels) for model in named)
    borrowed = [model.file for model in models if not model.labels]
    remarks = (
        [f"without labels, named as a model with as many classes names its own: {', '.join(borrowed)}"]
        if borrowed
        else []
    )
    if len({frozenset(each) for each in classes}) > 1:
        common = frozenset.intersection(*map(frozenset, classes))
        remarks.append(
            f"the models do not know the same classes: {len(common)} of {len(merged.labels)} are known to all"
        )
    return Shared(tuple(merged.labels), classes, numbered=False, remarks=tuple(remarks))


def _with_names(model: Named, models: Sequence[Named]) -> Named:
    if model.labels:
        return model
    alike = (other.labels for other in models if other.labels and other.classes == model.classes)
    return Named(model.file, model.classes, next(alike, ()), model.fault)


def _numbered(models: Sequence[Named]) -> Shared:
    counts = {model.classes for model in models}
    given = next((model for model in models if model.fault), None)
    if given is not None:
        raise Refused(f"{given.file}: {given.fault}")
    if len(counts) > 1:
        said = ", ".join(f"{model.file} has {model.classes}" for model in models)
        raise Refused(f"the models differ in their classes and name none ({said}): give their labels")
    places = tuple(range(counts.pop()))
    return Shared(tuple(f"class {place}" for place in places), (places,) * len(models), numbered=True)


def key(label: str) -> str:
    """What stays of a label when writing it differently is no difference."""
    return " ".join(re.sub(r"[-_\s]+", " ", label).casefold().split())


def synonyms(label: str) -> tuple[str, ...]:
    """The whole label, then each name between its commas."""
    parts = [key(part) for part in label.split(",")]
    return tuple(dict.fromkeys((key(label), *filter(None, parts))))


@dataclass(slots=True)
class _Merged:
    labels: list[str] = field(default_factory=list)
    _wholes: dict[str, list[int]] = field(default_factory=dict)
    """The places of whole labels."""
    _names: dict[str, list[int]] = field(default_factory=dict)
    """Of each of their names."""

    def add(self, labels: Sequence[str]) -> tuple[int, ...]:
        """The places of these labels; new ones are appended."""
        written = [label or f"class {number}" for number, label in enumerate(labels)]
        places: dict[int, int] = {}
        # The labels of one list are different classes, whatever they are called.
        taken: set[int] = set()
        # `crane` is `crane`, though `heron, crane` came first.
        for known in (self._as_a_whole, self._by_a_name):
            for number, label in enumerate(written):
                place = next((place for place in known(label) if place not in taken), None)
                if number not in places and place is not None:
                    places[number] = place
                    taken.add(place)
        for number, label in enumerate(written):
            if number not in places:
                places[number] = len(self.labels)
                self.labels.append(label)
        for number, label in enumerate(labels):
            self._learn(places[number], label)
        return tuple(places[number] for number in range(len(labels)))

    def _as_a_whole(self, label: str) -> Sequence[int]:
        return self._wholes.get(key(label), ())

    def _by_a_name(self, label: str) -> Sequence[int]:
        return [place for name in synonyms(label) for place in self._names.get(name, ())]

    def _learn(self, place: int, label: str) -> None:
        for names, index in (((key(label),), self._wholes), (synonyms(label), self._names)):
            for name in names:
                known = index.setdefault(name, [])
                if place not in known:
                    known.append(place)


@dataclass(frozen=True, slots=True)
class Found:
    places: Mapping[str, int]
    """Of the data's labels that are known."""
    unknown: tuple[str, ...]
    counted: bool
    """Some are numbers, as the first model counts its classes, though it has names for them."""


def find(wanted: Collection[str], classes: Shared) -> Found:
    """The classes that the data's labels mean: by name, by one of several names, or by number (`class 7`).

    Raises:
        Refused: a label means more than one class.
    """
    index: dict[str, list[int]] = {}
    for place, label in enumerate(classes.labels):
        for name in synonyms(label):
            index.setdefault(name, []).append(place)
    found = {label: _place(label, index, classes) for label in wanted}
    return Found(
        {label: place for label, place in found.items() if place is not None},
        tuple(label for label, place in found.items() if place is None),
        counted=not classes.numbered
        and any(place is not None and key(label) not in index for label, place in found.items()),
    )


def _place(label: str, index: Mapping[str, Sequence[int]], classes: Shared) -> int | None:
    named = index.get(key(label), ())
    whole = [place for place in named if key(classes.labels[place]) == key(label)] or list(named)
    if len(whole) > 1:
        raise Refused(
            f"{label!r} means {len(whole)} classes of the models, number "
            f"{' and '.join(map(str, whole))}: call it {f'class {whole[0]}'!r} in the data"
        )
    if whole:
        return whole[0]
    number = _NUMBERED.fullmatch(key(label))
    if number is None or not (classes.numbered or key(label).startswith("class ")):
        return None
    return int(number[1]) if int(number[1]) < len(classes.labels) else None


def missing(unknown: Sequence[str], of: int, classes: Shared) -> str:
    """Which labels of the data no model knows, and what they may have meant."""
    names = {name: label for label in classes.labels for name in synonyms(label)}
    said = []
    for label in sorted(unknown)[:_SHOWN_MAX]:
        near = difflib.get_close_matches(key(label), names, n=1)
        said.append(f"{label!r} (is it {names[near[0]]!r}?)" if near else repr(label))
    more = f" and {len(unknown) - _SHOWN_MAX} more" if len(unknown) > _SHOWN_MAX else ""
    known = (
        f"classes 0 to {len(classes.labels) - 1}"
        if classes.numbered
        else f"{len(classes.labels)} labels such as {classes.labels[0]!r}"
    )
    return (
        f"{len(unknown)} of the data's {of} labels {'is' if len(unknown) == 1 else 'are'} unknown to the "
        f"models: {', '.join(said)}{more}; the models know {known}: rename the folders, give --labels, or "
        "leave these pictures out with --known-only"
    )
