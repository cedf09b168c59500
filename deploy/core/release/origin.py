"""Where a release says that it came from: no instant, no host and no path, so that the same command gives the
same manifest.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from agent.wire.errors import Malformed
from agent.wire.topics import sha256
from deploy.core.factory.conversion import metadata
from deploy.core.factory.conversion.metadata import Provenance
from deploy.core.refusal import Refused
from deploy.core.release.variants import Examined

TOOL: Final = "shoal"
"""The program that made the release, which is no part of what it is."""


def told(
    variants: Sequence[Examined], reference: Examined | None, frames: str, tool: str, evaluated_on: str
) -> dict[str, str]:
    """What a manifest says.

    Args:
        variants: the CPU's first.
        reference: the model whose outputs are the truth, if it is none of these.
        frames: where the golden frames came from.
        tool: this program's version; empty: unsaid.
        evaluated_on: digest of the data of the evaluation; empty: there is none.

    Raises:
        Refused: the variants say that they were made of different models, or a file's entry is damaged.
    """
    known = {"golden_frames": frames}
    if reference is not None:
        known["golden_model"] = sha256(reference.file.content)
    if tool:
        known[TOOL] = tool
    if evaluated_on:
        known["evaluation_data"] = evaluated_on
    first, *others = [(variant, _of(variant)) for variant in variants]
    for variant, origin in others:
        _check_same(first, (variant, origin))
    return known | _entries(first[1])


def _of(variant: Examined) -> Provenance | None:
    try:
        return metadata.provenance(variant.file.content)
    except Malformed as error:
        raise Refused(f"{variant.file.name}: {error}") from error


def _check_same(one: tuple[Examined, Provenance | None], other: tuple[Examined, Provenance | None]) -> None:
    (first, of_first), (second, of_second) = one, other
    if of_first is None or of_second is None or of_first.source_digest == of_second.source_digest:
        return
    raise Refused(
        f"{first.file.name} was converted from {of_first.source_digest[:12]} and {second.file.name} from "
        f"{of_second.source_digest[:12]}: the variants of a release are of one model"
    )


def _entries(origin: Provenance | None) -> dict[str, str]:
    return {} if origin is None else dict(_said(origin))


def _said(origin: Provenance) -> Iterator[tuple[str, str]]:
    yield "source", origin.source_digest
    yield "converter", origin.converter
    if origin.flags:
        yield "flags", " ".join(origin.flags)
    if origin.calibration is not None:
        yield "calibration", origin.calibration.digest
        yield "calibration_samples", str(origin.calibration.samples)
