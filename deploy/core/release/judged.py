"""What an evaluation says of the files of a release."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.wire.documents import Delegate
from agent.wire.topics import Digest, sha256
from deploy.core.factory.evaluation import document
from deploy.core.factory.evaluation.document import SCHEMA, Evaluation, Report
from deploy.core.refusal import Refused
from deploy.core.release.variants import Examined


@dataclass(frozen=True, slots=True)
class Judged:
    figures: Mapping[str, float]
    """By name, as the manifest has them; those of a compiled variant begin with `edgetpu_`."""
    data: str
    """Digest of the data; empty: nothing was evaluated."""


UNJUDGED: Final = Judged({}, "")


def read(name: str, content: bytes) -> Report:
    """
    Raises:
        Refused: it is none that `shoal evaluate` wrote.
    """
    try:
        report = msgspec.json.decode(content, type=Report)
    except msgspec.MsgspecError as error:
        raise Refused(f"{name} is no evaluation ({error}): shoal evaluate -o writes one") from error
    if report.schema != SCHEMA:
        raise Refused(f"{name} is an evaluation of schema {report.schema}, and this program reads {SCHEMA}")
    return report


def of_release(name: str, report: Report, variants: Sequence[Examined]) -> Judged:
    """The figures of these very files.

    Args:
        name: of the evaluation's file.
        report: what it holds.
        variants: the CPU's first.

    Raises:
        Refused: it is of other files.
    """
    found = {model.evaluation.model.digest: model.evaluation for model in reversed(report.models)}
    digests = {variant.delegate: sha256(variant.file.content) for variant in variants}
    figures: dict[str, float] = {}
    for delegate, digest in digests.items():
        if digest in found:
            prefix = "" if delegate is Delegate.CPU else f"{delegate}_"
            figures |= {f"{prefix}{key}": value for key, value in _figures(found[digest]).items()}
    data = next((found[digest].data for digest in digests.values() if digest in found), "")
    if not figures:
        raise Refused(_of_others(name, report, variants, digests))
    return Judged(figures, data)


def _figures(found: Evaluation) -> dict[str, float]:
    return {name: round(value, 6) for name, value in document.figures(found).items()}


def _of_others(
    name: str, report: Report, variants: Sequence[Examined], digests: Mapping[Delegate, Digest]
) -> str:
    of = ", ".join(
        f"{each.evaluation.model.file} ({each.evaluation.model.digest[:12]})" for each in report.models
    )
    ours = ", ".join(f"{each.file.name} ({digests[each.delegate][:12]})" for each in variants)
    return f"{name} is an evaluation of {of}, and not of {ours}: evaluate the file that is released"
