"""Pictures in one folder a label: what can be a label, and which pictures teach, choose and judge."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from agent.core.inference import labels as label_files
from agent.wire.documents import HexDigest
from agent.wire.errors import Malformed
from deploy.core.refusal import Refused

PICTURES_MIN: Final = 5
"""Of a label: three that teach, one that chooses when to stop, one that judges."""
PICTURES_ADVISED: Final = 50
LABELS_MIN: Final = 2
BROKEN_SHARE_MAX: Final = 0.1
"""Above it, it is not a stray file that is broken but the data set."""
_NAMED_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Picture:
    place: str
    label: int
    digest: HexDigest
    """Of the file's bytes: a copy under another name is the same picture."""
    moment: HexDigest | None = None
    """Of the first picture that looks nearly alike; None: there is none."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Of each label's pictures; the rest teaches."""

    validation: float = 0.15
    test: float = 0.15


@dataclass(frozen=True, slots=True)
class Split:
    training: tuple[Picture, ...]
    validation: tuple[Picture, ...]
    """Chooses when training stops."""
    test: tuple[Picture, ...]
    """Judges, once, what came of it."""


def check_labels(names: Sequence[str], folder: str) -> None:
    """
    Args:
        names: of the folders, in the order of the classes.
        folder: in which they lie.

    Raises:
        Refused: they are too few, or a device would read others from the labels file.
    """
    if len(names) < LABELS_MIN:
        found = f"only one, {names[0]}" if names else "none"
        raise Refused(
            f"{folder} must hold one folder of pictures for each label, at least {LABELS_MIN}: "
            f"it holds {found}"
        )
    for name in names:
        if not name.isprintable() or name != name.strip():
            raise Refused(f"the folder {name!r} cannot be a label: rename it to printable text without edges")
    try:
        read = label_files.parse("\n".join(names).encode())
    except (Malformed, UnicodeEncodeError) as error:
        raise Refused(f"the folders of {folder} cannot be labels: {error}") from error
    if read != tuple(names):
        raise Refused(
            f"the folders of {folder} cannot be labels: numbers before every name, as in {names[0]!r}, "
            "would be read as the numbers of the classes; rename them"
        )


def check_broken(broken: Sequence[str], readable: int) -> tuple[str, ...]:
    """What to say about the files that are no pictures.

    Raises:
        Refused: there are too many of them.
    """
    if not broken:
        return ()
    named = ", ".join(broken[:_NAMED_MAX]) + (", ..." if len(broken) > _NAMED_MAX else "")
    of = f"{len(broken)} of {len(broken) + readable} pictures"
    if len(broken) > BROKEN_SHARE_MAX * (len(broken) + readable):
        raise Refused(
            f"{of} cannot be decoded, more than the {BROKEN_SHARE_MAX:.0%} that may be left out: mend or "
            f"remove them ({named})"
        )
    return (f"left out, because they cannot be decoded: {of} ({named})",)


def distinct(found: Iterable[Picture], names: Sequence[str]) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """Every picture once, and what was left out: copies, and all copies of what has two labels."""
    by_digest: dict[str, list[Picture]] = defaultdict(list)
    for picture in found:
        by_digest[picture.digest].append(picture)
    kept, remarks, copies = [], [], 0
    for same in by_digest.values():
        told = sorted({picture.label for picture in same})
        if len(told) > 1:
            as_ = " and ".join(names[label] for label in told)
            remarks.append(f"{same[0].place} lies under {as_} and was left out: one picture has one label")
            continue
        kept.append(same[0])
        copies += len(same) - 1
    if copies:
        remarks.append(f"left out, because they are copies of others: {copies} of the files")
    return tuple(kept), tuple(remarks)


def divide(pictures: Sequence[Picture], names: Sequence[str], shares: Shares, seed: int) -> Split:
    """By label and by content: neither names, nor places, nor the order of files decide.

    Pictures of one moment stay in one part; of a label that has too few moments for that, each goes its own
    way. A picture that is added later moves few of the others.

    Raises:
        Refused: a label has fewer pictures than it takes to teach, choose and judge.
    """
    ranked = [_ranked(pictures, label, seed) for label in range(len(names))]
    for name, own in zip(names, ranked, strict=True):
        count = sum(map(len, own))
        if count < PICTURES_MIN:
            raise Refused(
                f"the label {name} has {count} pictures, at least {PICTURES_MIN} are needed and some "
                f"{PICTURES_ADVISED} advised: take more pictures of it"
            )
    parts = [_parts(own, shares) for own in ranked]
    return Split(*(tuple(p for of_label in parts for p in of_label[place]) for place in range(3)))


def _ranked(pictures: Sequence[Picture], label: int, seed: int) -> list[list[Picture]]:
    """The moments of a label, drawn by the seed."""

    def rank(digest: str) -> bytes:
        return sha256(f"{seed}:{digest}".encode()).digest()

    moments: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        if picture.label == label:
            moments[picture.moment or picture.digest].append(picture)
    for own in moments.values():
        own.sort(key=lambda picture: rank(picture.digest))
    return sorted(moments.values(), key=lambda own: rank(own[0].digest))


def _parts(moments: Sequence[Sequence[Picture]], shares: Shares) -> tuple[list[Picture], ...]:
    """Of one label: what teaches, what chooses, what judges."""
    count = sum(map(len, moments))
    test, validation = (max(1, round(count * share)) for share in (shares.test, shares.validation))
    training: list[Picture] = []
    chosen: list[Picture] = []
    judging: list[Picture] = []
    for moment in moments:
        if len(judging) + len(moment) <= test:
            judging += moment
        elif len(chosen) + len(moment) <= validation:
            chosen += moment
        else:
            training += moment
    if training and chosen and judging:
        return training, chosen, judging
    return _parts([[picture] for moment in moments for picture in moment], shares)


def moments(split: Split, names: Sequence[str]) -> tuple[str, ...]:
    """What to say about pictures that look nearly alike."""
    taught = {picture.moment for picture in (*split.training, *split.validation) if picture.moment}
    known = Counter(picture.label for picture in split.test if picture.moment in taught)
    if known:
        named = ", ".join(f"{names[label]} ({count})" for label, count in sorted(known.items())[:_NAMED_MAX])
        more = ", ..." if len(known) > _NAMED_MAX else ""
        said = (
            f"{known.total()} of the {len(split.test)} pictures that judge look nearly like ones that taught"
        )
        return (f"{said}: {named}{more}; take pictures at several moments and places to know more",)
    if not taught:
        return ()
    return ("pictures that look nearly alike were kept in one part: those that judge are of other moments",)


def few(pictures: Sequence[Picture], names: Sequence[str]) -> tuple[str, ...]:
    """A remark where labels have fewer pictures than is advised."""
    counts = Counter(picture.label for picture in pictures)
    thin = [
        f"{name} ({counts[label]})" for label, name in enumerate(names) if counts[label] < PICTURES_ADVISED
    ]
    if not thin:
        return ()
    named = ", ".join(thin[:_NAMED_MAX]) + (", ..." if len(thin) > _NAMED_MAX else "")
    return (f"{len(thin)} labels have fewer than the {PICTURES_ADVISED} pictures advised: {named}",)


def weights(pictures: Sequence[Picture]) -> dict[int, float]:
    """Of each class, so that rare ones count as much in training as frequent ones; their mean over the
    pictures is 1.
    """
    counts = Counter(picture.label for picture in pictures)
    return {label: len(pictures) / (len(counts) * count) for label, count in sorted(counts.items())}


def spread(pictures: Sequence[Picture], count: int) -> Iterator[Picture]:
    """At most so many, as evenly from all labels as they go."""
    queues: dict[int, list[Picture]] = defaultdict(list)
    for picture in pictures:
        queues[picture.label].append(picture)
    for turn in range(max(map(len, queues.values()), default=0)):
        for own in queues.values():
            if count <= 0:
                return
            if turn < len(own):
                count -= 1
                yield own[turn]


def worst_pairs(confusion: Sequence[Sequence[int]], names: Sequence[str], count: int = 3) -> tuple[str, ...]:
    """The labels most often taken for others, in words.

    Args:
        confusion: pictures by true label (row) and answer (column).
        names: of the labels.
        count: of pairs, at most.
    """
    pairs = sorted(
        (-times, true, answer)
        for true, row in enumerate(confusion)
        for answer, times in enumerate(row)
        if times and true != answer
    )
    return tuple(
        f"{names[true]} taken for {names[answer]} {-times} of {sum(confusion[true])} times"
        for times, true, answer in pairs[:count]
    )
