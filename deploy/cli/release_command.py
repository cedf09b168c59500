"""`shoal release`: model files become a signed release."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from msgspec import Struct

from agent.core.update import provision
from agent.wire.documents import Activation, Delegate, Fit
from deploy.assemble.desk import publishing, workspaces
from deploy.assemble.desk import release as assembled
from deploy.assemble.desk.release import Request, Result
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.factory import look_options
from deploy.cli.factory.number_options import between
from deploy.core.release import scored
from deploy.core.release.variants import Options

EPILOG = """\
examples:
  shoal release mobilenet_v2.tflite --name birds --version 1.2.0 --labels birds.txt --golden photographs/
  shoal release birds.tflite birds_edgetpu.tflite --name birds --version 1.3.0 --golden photographs/
  shoal release birds.tflite --name birds --version 1.4.0 --golden photographs/ --golden-model float.tflite \\
    --evaluation evaluation.json

Give the file for the CPU, and the one compiled from it for the Edge TPU where there is one: which is which is
read from the files. Golden frames are pictures whose right answer is computed here and proven on every
device before it runs the release; a handful of photographs of what the cameras will see is best.
"""


class Answer(Struct, frozen=True, kw_only=True):
    name: str
    version: str
    manifest: str
    variants: dict[Delegate, str]
    classes: int
    golden_frames: int
    pulled_bytes: int
    """By a device that has nothing."""
    patch_bytes: dict[Delegate, int]
    """By one that has the release before."""
    minimum_runtime: dict[Delegate, str]
    """Of those variants that not every device's runtime has."""
    evaluation: dict[str, float]
    published: bool


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="one or two .tflite files")
    parser.add_argument("--name", required=True, help="name of the model, such as birds")
    parser.add_argument("--version", required=True, help="version of the release, such as 1.2.0")
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="one label a line (default: those in the model)"
    )
    _add_golden(parser)
    _add_contract(parser)
    parser.add_argument(
        "--evaluation",
        type=Path,
        metavar="FILE",
        help="what shoal evaluate -o wrote about these files: its figures go into the release",
    )
    parser.add_argument(
        "--licence", default="", metavar="TEXT", help="licence of the model, such as Apache-2.0"
    )
    parser.add_argument("--description", default="", metavar="TEXT", help="one line about the release")
    parser.add_argument(
        "--patch-from",
        default="",
        metavar="{NAME@VERSION,stable,none}",
        help="offer devices that have this release a patch, where it is much shorter than the file "
        "(default: the version before this one)",
    )
    parser.add_argument(
        "--no-publish", action="store_true", help="sign and keep it, send nothing to the broker"
    )
    command.add_offline_keys(parser)
    command.add_json(parser)


def _add_golden(parser: ArgumentParser) -> None:
    golden = parser.add_argument_group("golden frames")
    golden.add_argument(
        "--golden",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="pictures, folders of them, or .npz files of them, such as the representative data: the eight "
        "that prove most are taken (default: synthetic patterns)",
    )
    golden.add_argument(
        "--tolerance",
        type=between(0.0, 1.0),
        default=0.2,
        metavar="SHARE",
        help="how far a score on a device may be from the one computed here, 0 to 1 (default: 0.2)",
    )
    golden.add_argument(
        "--golden-model",
        type=Path,
        metavar="FILE",
        help="compute the right answers with this model, such as the float parent, and refuse the release "
        "where the CPU file disagrees (default: the CPU file itself)",
    )
    golden.add_argument(
        "--accept-disagreement",
        action="store_true",
        help="sign it although it disagrees: devices refuse it, which can be tried so",
    )


def _add_contract(parser: ArgumentParser) -> None:
    contract = parser.add_argument_group("what the model takes and gives", "default: what the file says")
    look_options.add_to(contract, undeclared="what the file says")
    contract.add_argument(
        "--activation",
        choices=command.names(Activation),
        metavar="{probabilities,logits}",
        help="what the model's output is",
    )


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    request = Request(
        models=tuple(options.models),
        name=options.name,
        version=options.version,
        options=Options(
            Fit(options.fit),
            look_options.normalization(options.mean, options.std),
            Activation(options.activation) if options.activation else None,
        ),
        labels=options.labels,
        golden=tuple(options.golden),
        golden_model=options.golden_model,
        accept_disagreement=options.accept_disagreement,
        tolerance=options.tolerance,
        licence=options.licence,
        description=options.description,
        evaluation=options.evaluation,
        patch_from=options.patch_from,
    )
    result = assembled.make(workspace, options.offline_keys, request)
    for remark in result.remarks:
        output.note(remark)
    if not options.no_publish:
        with output.progress("publishing") as on_progress:
            publishing.publish_release(workspace, result.released.manifest, on_progress)
    _tell(result, options)
    return 0


def _tell(result: Result, options: Namespace) -> None:
    manifest = result.released.manifest
    answer = Answer(
        name=manifest.name,
        version=manifest.version,
        manifest=result.released.ref.manifest,
        variants={variant.delegate: variant.artifact.digest for variant in manifest.variants},
        classes=manifest.output.classes,
        golden_frames=result.golden_frames,
        pulled_bytes=provision.cost(manifest, manifest.variants, frozenset()),
        patch_bytes={
            variant.delegate: patch.artifact.length
            for variant in manifest.variants
            for patch in variant.patches
        },
        minimum_runtime={
            variant.delegate: variant.minimum_runtime
            for variant in manifest.variants
            if variant.minimum_runtime
        },
        evaluation=manifest.evaluation,
        published=not options.no_publish,
    )
    if options.json:
        output.say_json(answer)
        return
    size = sum(variant.artifact.length for variant in manifest.variants)
    done = "released and published" if answer.published else "released, not published"
    output.say(
        f"{manifest.name}@{manifest.version} is {done}: {' and '.join(answer.variants)}, {size:,} bytes, "
        f"{answer.classes} classes, {answer.golden_frames} golden frames",
        *([line] if (line := scored.in_words(manifest.evaluation)) else []),
        _pull_in_words(answer),
        f"next: shoal rollout plan {manifest.name}@{manifest.version}",
    )


def _pull_in_words(answer: Answer) -> str:
    patches = (f"{length:,} bytes for {delegate}" for delegate, length in answer.patch_bytes.items())
    pulled = f"a device that has nothing pulls {answer.pulled_bytes:,} bytes"
    return (
        f"{pulled}; one that has the base of the patch, {' and '.join(patches)}"
        if answer.patch_bytes
        else pulled
    )


COMMAND = Command(
    "release",
    "sign model files as a release and publish it",
    add_options,
    run,
    EPILOG,
    also=("convert", "evaluate", "compile", "rollout plan"),
)
