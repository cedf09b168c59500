"""Representative data: pictures, arrays or a function become the samples of a model's signatures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.core.factory.conversion import calibration, kinds, samples
from deploy.core.factory.conversion.calibration import Observer
from deploy.core.factory.conversion.words import Calibration, Signature
from deploy.core.factory.words import Look, Representative
from deploy.core.refusal import Refused
from deploy.factory.parent import Arrays, Samples
from deploy.factory.samples import arrays, photographs
from deploy.factory.samples.arrays import Note
from deploy.factory.samples.spool import spool


@dataclass(frozen=True, slots=True)
class Gathered:
    samples: Mapping[str, Samples]
    """By signature."""
    calibration: Calibration
    remarks: tuple[str, ...]
    """What the operator could do better."""


def gather(given: Sequence[Representative], signatures: Sequence[Signature], look: Look) -> Gathered:
    """Samples for every signature.

    Args:
        given: at most one place a signature; one without a signature serves all that are not named.
        signatures: of the source, with the shapes that were chosen for it; -1 at the front is a batch of 1.
        look: how a picture becomes an input, as on the device.

    Raises:
        Refused: there is none, or it does not fit: shape, type, NaN, an unreadable file.
    """
    places = _places(given, signatures)
    gathered: dict[str, Samples] = {}
    observers: list[Observer] = []
    remarks: list[str] = []
    for signature in signatures:
        observer = Observer(signature)
        place = places[signature.name]
        gathered[signature.name] = spool(
            _watched(_read(place, signature, look, remarks.append), observer, place)
        )
        if not observer.samples:
            raise Refused(f"{place} gives no sample: {signature.name or 'the model'} needs at least one")
        remarks += observer.remarks(None if Path(place).is_dir() else look, place)
        observers.append(observer)
    return Gathered(gathered, calibration.together(observers), tuple(dict.fromkeys(remarks)))


def _places(given: Sequence[Representative], signatures: Sequence[Signature]) -> Mapping[str, str]:
    known = {signature.name for signature in signatures}
    named: dict[str, str] = {}
    for each in given:
        if each.signature and each.signature not in known:
            raise Refused(
                f"{each.place} is given for the signature {each.signature}, and the model has "
                f"{', '.join(sorted(known))}"
            )
        if named.setdefault(each.signature, each.place) != each.place:
            raise Refused(
                f"{named[each.signature]} and {each.place} are both given for "
                f"{each.signature or 'all signatures'}: give one, or SIGNATURE=PLACE for each"
            )
    rest = named.get("")
    places = {name: named.get(name, rest) for name in known}
    missing = sorted(name or "the model" for name, place in places.items() if place is None)
    if missing:
        raise Refused(
            f"there is no representative data for {', '.join(missing)}: give each some, as "
            "--representative SIGNATURE=PLACE"
        )
    return {name: place for name, place in places.items() if place is not None}


def _read(place: str, signature: Signature, look: Look, note: Note) -> Iterator[Arrays]:
    if kinds.is_function(place):
        return arrays.of_function(place, signature)
    path = Path(place)
    if path.is_dir():
        return photographs.of_folder(path, signature, look, note)
    if path.suffix.lower() == ".npz":
        return arrays.of_file(path, signature, note)
    if not path.exists():
        raise Refused(f"{place}: there is no such file or folder")
    raise Refused(f"{place}: representative data is a folder of pictures, an .npz file or module:function")


def _watched(found: Iterator[Arrays], observer: Observer, place: str) -> Iterator[Arrays]:
    for index, sample in enumerate(found):
        for name, array in sample.items():
            samples.check_finite(array, name, index, place)
        observer.see(sample)
        yield sample
