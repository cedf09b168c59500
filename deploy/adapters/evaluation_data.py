"""The data that models are evaluated on, as they lie on disk."""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.wire.topics import Digest
from deploy.adapters import desk, npz_file
from deploy.core.factory.conversion import calibration
from deploy.core.refusal import Refused

_X: Final = ("x", "x_test", "images")
_Y: Final = ("y", "y_test", "labels")


@dataclass(frozen=True, slots=True)
class Given:
    """Pictures and what is on them."""

    digest: Digest
    """Over names, labels and contents, in their order."""
    places: tuple[str, ...]
    """Absolute paths; one path, of an .npz file, stands for all its rows."""
    labels: tuple[str | None, ...]
    """One a picture or row; None: nobody says."""
    array: bool
    rows: tuple[int, ...] = ()
    """Of an .npz file: those that were chosen."""
    floats: bool = False
    """Not pictures: the numbers of the model's input."""

    @property
    def labelled(self) -> bool:
        return any(label is not None for label in self.labels)


def read(places: Sequence[Path], limit: int | None) -> Given:
    """
    Args:
        places: an .npz file; or folders (one folder a label, or pictures with a table `file,label`, or
            pictures alone) and picture files.
        limit: at most so many pictures, spread evenly over all.

    Raises:
        Refused: there is nothing to look at, or it cannot be read.
    """
    absent = next((place for place in places if not place.exists()), None)
    if absent is not None:
        raise Refused(f"{absent}: there is no such file or folder")
    if any(place.suffix.lower() == ".npz" for place in places):
        if len(places) > 1:
            raise Refused("an .npz file is evaluated alone: give it as the only --data")
        return _array(places[0], limit)
    found = [each for place in places for each in _pictures(place)]
    if not found:
        raise Refused(
            f"no picture ({', '.join(sorted(desk.PICTURES))}) in {', '.join(map(str, places))}: give a "
            "folder with a folder for each label, or one with pictures"
        )
    chosen = [found[place] for place in calibration.evenly(len(found), limit)]
    return Given(
        _digest_of_files(chosen),
        tuple(str(path.resolve()) for path, _ in chosen),
        tuple(label for _, label in chosen),
        array=False,
    )


def _pictures(place: Path) -> list[tuple[Path, str | None]]:
    if not place.is_dir():
        return [(place, None)]
    try:
        of_folders: list[tuple[Path, str | None]] = [
            (path, folder.name) for folder, pictures in desk.labelled(place) for path in pictures
        ]
        if of_folders:
            return of_folders
        tables = sorted(path for path in place.iterdir() if path.suffix.lower() == ".csv")
        if len(tables) == 1:
            return list(_table(tables[0]))
        if tables:
            raise Refused(f"{place} holds {len(tables)} tables: leave one, with the columns file and label")
        return [
            (path, None)
            for path in sorted(place.iterdir())
            if path.suffix.lower() in desk.PICTURES and path.is_file()
        ]
    except OSError as error:
        raise Refused(f"{place}: {error.strerror}") from error


def _table(path: Path) -> Iterator[tuple[Path, str | None]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            rows = csv.DictReader(opened)
            if not {"file", "label"} <= set(rows.fieldnames or ()):
                raise Refused(
                    f"{path}: its first line is {','.join(rows.fieldnames or ())!r}, it must name the "
                    "columns file and label"
                )
            for row in rows:
                picture = path.parent / (row["file"] or "")
                if not picture.is_file():
                    raise Refused(f"{path}: line {rows.line_num} names {row['file']!r}, which is not there")
                yield picture, row["label"] or None
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"{path} is no table of UTF-8 text: {error}") from error


def _digest_of_files(found: Sequence[tuple[Path, str | None]]) -> Digest:
    total = hashlib.sha256()
    for path, label in found:
        try:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from error
        total.update(repr((path.name, label, content)).encode())
    return Digest(total.hexdigest())


@dataclass(frozen=True, slots=True)
class Rows:
    """Arrays one after the other: pixels as height x width x 3, or the numbers of a model's input."""

    array: NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, row: int) -> NDArray[np.generic]:
        found = self.array[row]
        if found.dtype != np.uint8:
            return np.asarray(found, np.float32)
        pixels = np.asarray(found, np.uint8)
        if pixels.ndim == 2 or pixels.shape[-1] == 1:
            return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=-1)
        return pixels


def rows(place: str) -> Rows:
    """
    Raises:
        Refused: the file cannot be read, or holds no such arrays.
    """
    return Rows(_arrays(Path(place))[0])


def _arrays(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic] | None]:
    with npz_file.opened(path) as held:
        x, y = (next((name for name in names if name in held), None) for names in (_X, _Y))
        if x is None:
            raise Refused(f"{path} holds {', '.join(held) or 'nothing'}: it needs x, and y for labels")
        return _checked(path, held[x]), None if y is None else held[y]


def _checked(path: Path, x: NDArray[np.generic]) -> NDArray[np.generic]:
    pictures = x.dtype == np.uint8 and (x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in {1, 3}))
    if not pictures and x.dtype.kind != "f":
        raise Refused(
            f"{path}: x is {' x '.join(map(str, x.shape))} {x.dtype}: pictures are uint8, count x height x "
            "width x 1 or 3; or give the model's input in float"
        )
    if len(x) == 0:
        raise Refused(f"{path}: x is empty")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise Refused(f"{path}: x holds NaN or infinity")
    return x


def _array(path: Path, limit: int | None) -> Given:
    x, y = _arrays(path)
    if y is not None and y.shape != (len(x),) and y.shape != (len(x), 1):
        raise Refused(
            f"{path}: x has {len(x)} rows and y is {' x '.join(map(str, y.shape))}: one a row is needed"
        )
    chosen = list(calibration.evenly(len(x), limit))
    digest = hashlib.sha256(repr((x.shape, x.dtype.str, len(chosen))).encode())
    digest.update(np.ascontiguousarray(x[chosen]).tobytes())
    labels = [None] * len(x) if y is None else [_label(path, each) for each in y.reshape(-1)]
    digest.update(repr([labels[row] for row in chosen]).encode())
    return Given(
        Digest(digest.hexdigest()),
        (str(path.resolve()),),
        tuple(labels[row] for row in chosen),
        array=True,
        rows=tuple(chosen),
        floats=x.dtype.kind == "f",
    )


def _label(path: Path, value: np.generic) -> str:
    if value.dtype.kind in "iu":
        return f"class {value}"
    if value.dtype.kind == "U":
        return str(value)
    raise Refused(f"{path}: y is {value.dtype}, labels are whole numbers or words")
