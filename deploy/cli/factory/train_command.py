"""`shoal train`: a folder of labelled pictures becomes a classifier."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.wire.documents import Fit, Normalization
from deploy.assemble.factory import training
from deploy.assemble.factory.training import Further, Request, Result
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.factory import card_options, look_options
from deploy.cli.factory.number_options import between, whole
from deploy.cli.factory.progress_lines import ProgressLines
from deploy.core.factory.conversion.words import Agreement, Quantize
from deploy.core.factory.evaluation import statistics
from deploy.core.factory.training import bases, dataset
from deploy.core.factory.training.bases import Network
from deploy.core.factory.training.words import Trained

EPILOG = """\
examples:
  shoal train --images birds/ -o birds.keras
  shoal train --images birds/ -o birds.keras --fine-tune 20 --convert birds.tflite --quantize uint8
  shoal train --images digits/ -o digits.keras --no-mirror --base mobilenet_v2

birds/ holds a folder for each label, such as birds/robin and birds/wren, with pictures of any size. Of each
label a part teaches, a part decides when to stop, and a part judges what came of it; the same pictures are
always divided in the same way. Pictures are prepared by the code that devices run.
Beside birds.keras are written birds.txt, its labels, and birds_confusion.png, what was taken for what.
The base efficientnet_lite0 ships with Shoal; Keras fetches the others from the network, once.
"""
_LONG: Final = 500
"""Pictures: fewer are looked at while one reads the line."""


class Answer(Struct, frozen=True, kw_only=True):
    model: str
    labels_file: str
    confusion_file: str
    labels: tuple[str, ...]
    normalization: Normalization
    training: int
    validation: int
    test: int
    epochs: int
    right: int
    right_low_share: float
    """Bounds of the share of right answers, with a confidence of 95 %."""
    right_high_share: float
    confusion: tuple[tuple[int, ...], ...]
    converted: str | None
    """The .tflite file."""
    agreement: Agreement | None
    """Of that file with the trained model, on the pictures that calibrated it."""
    remarks: tuple[str, ...]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="one folder of pictures for each label"
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE.keras", help="where the model is written"
    )
    parser.add_argument(
        "--base",
        default=Network.EFFICIENTNET_LITE0.value,
        metavar="NAME|FILE",
        help=f"{', '.join(Network)}, or a .keras, .h5 or float .tflite file (default: efficientnet_lite0)",
    )
    _add_look(parser)
    _add_learning(parser)
    _add_further(parser)
    command.add_json(parser)


def _add_look(parser: ArgumentParser) -> None:
    look = parser.add_argument_group("how pictures become the model's input")
    look.add_argument(
        "--side",
        type=whole(32, 1024),
        default=bases.SIDE_PX,
        metavar="PX",
        help=f"width and height of the model's pictures (default: {bases.SIDE_PX})",
    )
    look_options.add_to(look, undeclared="what the base was trained with")


def _add_learning(parser: ArgumentParser) -> None:
    learning = parser.add_argument_group("how it learns")
    learning.add_argument(
        "--epochs", type=whole(1, 10_000), default=60, metavar="N", help="of the head, at most (default: 60)"
    )
    learning.add_argument(
        "--dropout",
        type=between(0.0, 0.99),
        default=0.2,
        metavar="SHARE",
        help="of features left out (default: 0.2)",
    )
    learning.add_argument(
        "--views",
        type=whole(0, 100),
        default=3,
        metavar="N",
        help="altered copies of each picture: cut, coloured, mirrored (default: 3)",
    )
    learning.add_argument(
        "--no-mirror", action="store_true", help="left and right differ, as in letters and digits"
    )
    learning.add_argument(
        "--fine-tune",
        type=whole(0, 10_000),
        default=0,
        metavar="LAYERS",
        help="let the last so many layers of the base learn too (default: 0)",
    )
    learning.add_argument(
        "--fine-tune-epochs", type=whole(1, 10_000), default=5, metavar="N", help="at most (default: 5)"
    )
    learning.add_argument(
        "--seed", type=whole(0, 2**31 - 1), default=0, metavar="N", help="another one divides otherwise"
    )


def _add_further(parser: ArgumentParser) -> None:
    further = parser.add_argument_group("straight on to a .tflite file, calibrated with those pictures")
    further.add_argument("--convert", type=Path, metavar="FILE.tflite", help="write it here")
    further.add_argument(
        "--quantize",
        choices=command.names(Quantize),
        default=Quantize.UINT8.value,
        metavar="MODE",
        help=f"{', '.join(command.names(Quantize))} (default: uint8)",
    )
    card_options.add(parser)


def run(options: Namespace) -> int:
    result = training.train(_request(options), ProgressLines(counted_from=_LONG).note)
    for remark in _remarks(result):
        output.note(remark)
    _tell(result, options)
    return 0


def _request(options: Namespace) -> Request:
    quantize, card = Quantize(options.quantize), card_options.card(options)
    further = None if options.convert is None else Further(options.convert, quantize, card)
    return Request(
        images=options.images,
        base=options.base,
        out=options.out,
        side_px=options.side,
        fit=Fit(options.fit),
        normalization=look_options.normalization(options.mean, options.std),
        seed=options.seed,
        epochs=options.epochs,
        dropout=options.dropout,
        views=options.views,
        mirror=not options.no_mirror,
        fine_tune_layers=options.fine_tune,
        fine_tune_epochs=options.fine_tune_epochs,
        further=further,
    )


def _remarks(result: Result) -> tuple[str, ...]:
    return result.trained.remarks + (() if result.converted is None else result.converted.converted.remarks)


def _tell(result: Result, options: Namespace) -> None:
    trained = result.trained
    bounds = statistics.wilson(trained.right, trained.test)
    if options.json:
        output.say_json(
            Answer(
                model=str(result.model),
                labels_file=str(result.labels),
                confusion_file=str(result.confusion),
                labels=trained.labels,
                normalization=trained.normalization,
                training=trained.training,
                validation=trained.validation,
                test=trained.test,
                epochs=trained.epochs,
                right=trained.right,
                right_low_share=bounds.low,
                right_high_share=bounds.high,
                confusion=trained.confusion,
                converted=None if result.converted is None else str(result.converted.path),
                agreement=None if result.converted is None else result.converted.converted.agreement,
                remarks=_remarks(result),
            )
        )
        return
    output.say(
        f"{result.model}: {len(trained.labels)} labels, {trained.right} of {trained.test} pictures that it "
        f"had not seen are named rightly, {trained.right / trained.test:.1%} "
        f"({bounds.low:.1%} to {bounds.high:.1%} with a confidence of 95 %)",
        *_confused(trained),
        f"labels: {result.labels}; what was taken for what: {result.confusion}",
        *_converted(result),
    )


def _converted(result: Result) -> tuple[str, ...]:
    made = result.converted
    if made is None:
        return (
            f"next: shoal convert {result.model} -o FILE.tflite --quantize uint8 --labels {result.labels}",
        )
    found = made.converted.agreement
    said = (
        ""
        if found is None or found.same_first_share is None
        else f", the same label as before for {found.same_first_share:.1%} of {found.samples} pictures"
    )
    return (
        f"{made.path}: {made.facts.length_bytes:,} bytes{said}",
        f"next: shoal evaluate {made.path} --data DIR, then shoal release {made.path} --name ...",
    )


def _confused(trained: Trained) -> tuple[str, ...]:
    pairs = dataset.worst_pairs(trained.confusion, trained.labels)
    return (f"most confused: {', '.join(pairs)}",) if pairs else ()


COMMAND = Command("train", "make a classifier from a folder of labelled pictures", add_options, run, EPILOG)
