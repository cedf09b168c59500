"""`shoal evaluate`: what models get right, what they cost, and whether a difference is one."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from agent.core.serving.delegate import RuntimeChoice
from agent.wire.documents import Fit
from deploy.assemble.factory import evaluating, reporting
from deploy.assemble.factory.evaluating import Judged, Request
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.factory import look_options
from deploy.cli.factory.number_options import whole
from deploy.cli.output import Said
from deploy.core.factory.evaluation import summary
from deploy.core.factory.evaluation.document import Report
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused

EPILOG = """\
examples:
  shoal evaluate birds.tflite --data held-out/
  shoal evaluate float.tflite int8.tflite --reference float.tflite --data held-out/ --report birds.html
  shoal evaluate digits.tflite --data digits.npz -o evaluation.json

The data are a folder with a folder of pictures for each label; a folder of pictures with a table of the
columns file and label (.csv); or arrays x and y in an .npz file, x as bytes (count x height x width x 1 or 3)
or as the model's input in float. Pictures without labels tell how far models agree, and how fast they are.
Pictures are prepared and scores are read by the code that devices run.
"""
BOTH: Final = "both"
_LONG_PICTURES: Final = 200


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help=".tflite files")
    parser.add_argument(
        "--data", nargs="+", type=Path, required=True, metavar="PATH", help="pictures with their labels"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="one label a line (default: those in the model)"
    )
    parser.add_argument(
        "--reference", type=Path, metavar="FILE", help="the model that the others are held against"
    )
    parser.add_argument(
        "--limit", type=whole(1), metavar="N", help="at most so many pictures, spread over all of them"
    )
    parser.add_argument(
        "--known-only", action="store_true", help="leave out pictures whose label the models do not know"
    )
    _add_running(parser)
    written = parser.add_argument_group("what is written")
    written.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="the evaluation as JSON, for shoal release"
    )
    written.add_argument("--report", type=Path, metavar="FILE", help="a page (.html) or a picture (.png)")
    written.add_argument(
        "--layers",
        action="store_true",
        help="which layers lose most, held against those of --reference",
    )
    command.add_json(parser)


def _add_running(parser: ArgumentParser) -> None:
    running = parser.add_argument_group("how the models run")
    running.add_argument(
        "--runtime",
        choices=[*command.names(RuntimeChoice), BOTH],
        default=RuntimeChoice.AUTO.value,
        metavar="{auto,litert,tflite,both}",
        help="both: each model on each runtime (default: auto, LiteRT where it is)",
    )
    running.add_argument(
        "--threads", type=whole(1, 64), default=1, metavar="N", help="that compute (default: 1)"
    )
    look_options.add_to(running, undeclared="what the file says")


def run(options: Namespace) -> int:
    request = Request(
        models=tuple(options.models),
        data=tuple(options.data),
        reference=options.reference,
        labels=options.labels,
        limit=options.limit,
        threads=options.threads,
        runtimes=_runtimes(options.runtime),
        fit=Fit(options.fit),
        normalization=look_options.normalization(options.mean, options.std),
        layers=options.layers,
        known_only=options.known_only,
    )
    judged = _judged(request, options)
    for remark in judged.report.remarks:
        output.note(remark)
    _write(judged, options)
    if options.json:
        output.say_json(judged.report)
    else:
        output.say(*_table(judged))
    return 0


def _runtimes(said: str) -> tuple[RuntimeChoice, ...]:
    return (RuntimeChoice.LITERT, RuntimeChoice.TFLITE) if said == BOTH else (RuntimeChoice(said),)


class _Quarters:
    """Of the pictures; what is over in a moment is not worth a line."""

    def __init__(self) -> None:
        self._said = 0

    def note(self, progress: Progress) -> None:
        if progress.total < _LONG_PICTURES:
            return
        quarter = progress.done * 4 // progress.total
        if quarter > self._said:
            self._said = quarter
            output.note(f"{progress.done:,} of {progress.total:,} {progress.what}")


def _judged(request: Request, options: Namespace) -> Judged:
    reporting.check(options.out, options.report)
    if request.layers and request.reference is None:
        raise Refused("layers are held against those of another model: name it with --reference")
    judged = evaluating.evaluate(request, _Quarters().note)
    return reporting.compare_layers(judged, request, _silent) if request.layers else judged


def _silent(progress: Progress) -> None:
    """It is over in seconds."""


def _write(judged: Judged, options: Namespace) -> None:
    if options.out is not None:
        reporting.write_document(judged.report, options.out)
    if options.report is not None:
        lacking = reporting.write(judged, options.report, _silent)
        if lacking:
            output.note(lacking)


def _table(judged: Judged) -> list[Said]:
    report = judged.report
    headings, rows = summary.table(report)
    capitals = [heading.upper() for heading in headings]
    return [output.Table(capitals, rows), *summary.sentences(report), *_of_layers(report)]


def _of_layers(report: Report) -> list[str]:
    return [
        f"{report.models[each.model].evaluation.model.file}: {advice}"
        for each in report.layers
        for advice in each.advice
    ]


COMMAND = Command("evaluate", "compare models: accuracy, agreement, size, latency", add_options, run, EPILOG)
