"""A report on disk: a page, a picture, or the document."""

import base64
import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import json, structs
from PIL import Image

from deploy.adapters import desk, evaluation_data, whole_file
from deploy.assemble.factory.evaluating import Judged, Request, carry_out
from deploy.core.factory.evaluation import examples, layers, report_page
from deploy.core.factory.evaluation.document import Report
from deploy.core.factory.evaluation.examples import Chosen
from deploy.core.factory.evaluation.report_page import Example
from deploy.core.factory.evaluation.seen import ArrayFile, Compare, Compared, Draw, Drawn, PictureFiles, Shown
from deploy.core.refusal import Refused
from deploy.ports.factory import OnProgress

LAYER_PICTURES: Final = 16
"""Layers' errors hardly change with more, and each takes a float run of the reference kernels."""
_THUMB_PX: Final = 160
_SUFFIXES: Final = frozenset({".html", ".htm", ".png"})


def check(document: Path | None, report: Path | None) -> None:
    """
    Raises:
        Refused: nothing can be written there; said before anything is computed.
    """
    if report is not None and report.suffix.lower() not in _SUFFIXES:
        raise Refused(f"{report}: a report is a page (.html) or a picture (.png)")
    for path in (document, report):
        if path is not None and not path.absolute().parent.is_dir():
            raise Refused(f"{path} cannot be written: there is no folder {path.parent}")


def compare_layers(judged: Judged, request: Request, on_progress: OnProgress) -> Judged:
    """The report with the error of each layer of each model but the reference's; models of another network
    are named.
    """
    report = judged.report
    assert report.reference is not None, "the request names one"
    reference = judged.contenders[report.reference]
    found, remarks = [], []
    for place, contender in enumerate(judged.contenders):
        if contender.path == reference.path:
            continue
        order = Compare(
            reference=reference.candidate(request),
            quantized=contender.candidate(request),
            shown=_some(judged.shown),
        )
        try:
            answer = carry_out(order, on_progress)
        except Refused as error:
            remarks.append(f"{contender.name}: {error}")
            continue
        assert isinstance(answer, Compared)
        found.append(layers.report(answer, place))
    changed = structs.replace(report, layers=tuple(found), remarks=(*report.remarks, *remarks))
    return replace(judged, report=changed)


def _some(shown: Shown) -> Shown:
    match shown:
        case PictureFiles(pictures=pictures):
            return PictureFiles(
                pictures=pictures[:: max(1, len(pictures) // LAYER_PICTURES)][:LAYER_PICTURES]
            )
        case ArrayFile(rows=rows, truths=truths):
            step = max(1, len(rows) // LAYER_PICTURES)
            chosen = slice(None, step * LAYER_PICTURES, step)
            return structs.replace(shown, rows=rows[chosen], truths=truths[chosen])


def write_document(report: Report, path: Path) -> None:
    """
    Raises:
        StoreFailed: the disk refused; what was there before is still there.
    """
    whole_file.write_whole(path, json.format(json.encode(report), indent=2) + b"\n", whole_file.FOR_ALL)


def write(judged: Judged, path: Path, on_progress: OnProgress) -> str | None:
    """
    Returns:
        What is missing on the page, and why; None: nothing.

    Raises:
        Refused: a picture was asked for, and nothing here draws.
        StoreFailed: the disk refused; what was there before is still there.
    """
    if path.suffix.lower() == ".png":
        _write_png(judged.report, path, on_progress)
        return None
    missing = ""
    try:
        drawn = carry_out(Draw(report=judged.report), on_progress)
    except Refused as error:
        drawn, missing = Drawn(), str(error)
    assert isinstance(drawn, Drawn)
    page = report_page.page(judged.report, drawn.plots, _examples(judged), missing)
    whole_file.write_whole(path, page.encode(), whole_file.FOR_ALL)
    return f"the report has no plots: {missing}" if missing else None


def _write_png(report: Report, path: Path, on_progress: OnProgress) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder, "report.png")
        carry_out(Draw(report=report, png=str(scratch)), on_progress)
        whole_file.write_whole(path, scratch.read_bytes(), whole_file.FOR_ALL)


def _examples(judged: Judged) -> list[Example]:
    reference = judged.report.reference
    held = None if reference in {None, 0} else judged.asked[reference or 0].seen
    chosen = examples.worst(judged.asked[0].seen, examples.truths(judged.shown), held)
    show = _pictures(judged.shown)
    return [
        Example(
            address=_address(image),
            name=name,
            truth=judged.labels[each.truth],
            named="nothing" if each.named is None else judged.labels[each.named],
            score=each.score,
        )
        for each in chosen
        for name, image in show(each)
    ]


def _pictures(shown: Shown) -> Callable[[Chosen], list[tuple[str, Image.Image]]]:
    """What makes a picture of an answer; nothing of numbers that are no picture."""
    match shown:
        case PictureFiles(pictures=pictures):
            places = [Path(picture.place) for picture in pictures]
            return lambda chosen: [(places[chosen.place].name, desk.picture(places[chosen.place]))]
        case ArrayFile(place=place, rows=numbers):
            rows = evaluation_data.rows(place)

            def show(chosen: Chosen) -> list[tuple[str, Image.Image]]:
                row = rows[numbers[chosen.place]]
                if row.dtype != np.uint8:
                    return []
                return [(f"row {numbers[chosen.place]}", Image.fromarray(np.asarray(row, np.uint8)))]

            return show


def _address(image: Image.Image) -> str:
    """The picture itself as an address (RFC 2397)."""
    small = image.copy()
    small.thumbnail((_THUMB_PX, _THUMB_PX))
    written = io.BytesIO()
    small.save(written, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"
