"""`shoal-agent teach`: new labels for a network that knows pictures, from a few of each."""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from agent.assemble.desk.desk import Refused
from agent.assemble.desk.teaching import Capture, Captured, Looked, Passed, Taught, Teach
from agent.cli import native
from agent.cli.classify import add_fit, add_runtime
from agent.cli.text import path, printable
from agent.config import Camera, CameraKind
from agent.wire.errors import Malformed, PortError

_DESCRIPTION = """\
Teach a classifier new labels from a few pictures of each, on this machine and without a training framework:
the network stays as it is, and the mean of what it makes of a label's pictures becomes the weights of that
label (weight imprinting). The new model carries its labels and serves like any other.

MODEL is an embedding extractor, or a classifier: then its class weights are left away. How good the new model
is, is measured on pictures that had no part in their label."""

_EPILOG = """\
examples:
  shoal-agent teach --model efficientnet_lite0_224_uint8.tflite --images pictures/ -o taught.tflite
  shoal-agent teach --model efficientnet_lite0_224_uint8.tflite --camera auto -o taught.tflite
  shoal-agent teach --model taught.tflite --add --camera auto --label spanner -o taught.tflite
  shoal-agent classify --model taught.tflite new.jpg

pictures/ holds a folder for each label, of its name. Ten to fifty pictures each, from several sides and in
several lights, teach most; a folder of other things is a label like any other, and --unknown adds a class for
whatever is like no label."""

_FRAMES: Final = 20
_APART_S: Final = 0.25
_CAMERA_MAX_S: Final = 60.0
"""Beside the time for the frames themselves."""
_COUNTDOWN_S: Final = 3
_NAME_LETTERS: Final = 60
_PAIRS_SHOWN: Final = 5


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "teach",
        help="teach a classifier new labels from a few pictures of each",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("--model", type=path, required=True, metavar="FILE", help="the .tflite file to teach")
    parser.add_argument("-o", "--out", type=path, required=True, metavar="FILE", help="the taught model")
    _add_sources(parser)
    parser.add_argument(
        "--add", action="store_true", help="the model was taught before: keep its labels, add these"
    )
    parser.add_argument(
        "--unknown", type=_label, metavar="NAME", help="a class of this name for what is like no label"
    )
    parser.add_argument(
        "--layer",
        metavar="TENSOR",
        help="the embedding (default: what the class weights are multiplied with)",
    )
    parser.add_argument(
        "--name", default="", metavar="NAME", help="of the new model (default: from its file)"
    )
    add_fit(parser, "; serve it with the same")
    add_runtime(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    parser.set_defaults(run=_run, parser=parser)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=path, metavar="DIR", help="a folder with a folder for each label")
    source.add_argument(
        "--camera",
        type=camera,
        metavar="SOURCE",
        help="take the pictures now: auto, v4l2[:/dev/video0], picamera2[:0], rtsp://..., file:VIDEO,"
        " replay:DIR",
    )
    parser.add_argument(
        "--label",
        action="append",
        type=_label,
        metavar="NAME",
        help="with --camera: what is shown, in this order (default: asked for)",
    )
    parser.add_argument(
        "--frames-per-label",
        type=_frames,
        default=_FRAMES,
        metavar="N",
        help=f"to a label (default: {_FRAMES})",
    )
    parser.add_argument(
        "--countdown",
        type=_seconds,
        metavar="S",
        help="start after so many seconds instead of waiting for Enter",
    )
    parser.add_argument(
        "--keep",
        type=path,
        metavar="DIR",
        help="with --camera: keep the frames there; pictures that are there already are taught as well",
    )


def camera(text: str) -> Camera:
    """A camera from the command line.

    Raises:
        argparse.ArgumentTypeError: there is no such kind.
    """
    if text.startswith("/dev/"):
        return Camera(kind=CameraKind.V4L2, device=text)
    if text.startswith(("rtsp://", "rtsps://")):
        return Camera(kind=CameraKind.RTSP, url=text)
    kind, _, rest = text.partition(":")
    match kind:
        case CameraKind.AUTO | CameraKind.PATTERN if not rest:
            return Camera(kind=CameraKind(kind))
        case CameraKind.V4L2 | CameraKind.PICAMERA2:
            return Camera(kind=CameraKind(kind), device=rest)
        case CameraKind.REPLAY if rest:
            return Camera(kind=CameraKind.REPLAY, folder=rest)
        case CameraKind.FILE if rest:
            return Camera(kind=CameraKind.FILE, file=rest)
        case _:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no camera: auto, v4l2[:/dev/video0], picamera2[:0], rtsp://..., file:VIDEO,"
                " replay:DIR"
            )


def _label(text: str) -> str:
    name = path(text).strip()
    if not name or name.startswith(".") or "/" in name or not name.isprintable():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no label: it names a folder, so it has letters, no / and no . ahead"
        )
    return name


def _frames(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 2 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of frames from 2 to 1000")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.camera is None:
        if arguments.label or arguments.keep:
            arguments.parser.error("--label and --keep go with --camera; with --images, folders are labels")
        return _taught(arguments, arguments.images)
    if len(set(arguments.label or ())) == 1 and not _has_others(arguments):
        arguments.parser.error("one label tells nothing apart: give --label once for each, or --add")
    # Told before anybody shows anything: no answer is a good one.
    _taught(arguments, "")
    with _frames_folder(arguments.keep) as folder:
        shown = [_captured(arguments, label, folder) for label in _labels(arguments)]
        if not shown and arguments.keep is None:
            raise Malformed("no label was named, so nothing is taught")
        return _taught(arguments, str(folder))


@contextlib.contextmanager
def _frames_folder(keep: str | None) -> Iterator[Path]:
    if keep is not None:
        yield Path(keep)
        return
    with tempfile.TemporaryDirectory(prefix="shoal-teach-") as folder:
        yield Path(folder)


def _labels(arguments: argparse.Namespace) -> Iterator[str]:
    """Those that were given, or each as it is typed in, until an empty line."""
    if arguments.label:
        yield from arguments.label
        return
    if not sys.stdin.isatty():
        arguments.parser.error("name what is shown with --label: there is no terminal to ask on")
    shown: set[str] = set()
    while (text := _asked("What will you show (Enter alone when done)? ")) is not None:
        if not text and len(shown) == 1 and not _has_others(arguments):
            print("One label tells nothing apart: show something else too.", file=sys.stderr)
            continue
        if not text:
            return
        try:
            label = _label(text)
        except argparse.ArgumentTypeError as error:
            print(printable(str(error)), file=sys.stderr)
            continue
        yield label
        shown.add(label)


def _has_others(arguments: argparse.Namespace) -> bool:
    """Whether there may be labels beside those that are shown now."""
    return arguments.add or arguments.keep is not None


def _asked(question: str) -> str | None:
    """A line from the terminal; None at the end of input."""
    try:
        return input(printable(question)).strip()
    except EOFError:
        print()
        return None


def _captured(arguments: argparse.Namespace, label: str, folder: Path) -> str:
    """The label, with its frames in a folder of its name.

    Raises:
        PortError: the camera gives no frames.
    """
    into = folder / label
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PortError(f"{into} cannot be made: {error.strerror}") from error
    _wait(label, arguments.countdown)
    job = Capture(
        camera=arguments.camera,
        frames=arguments.frames_per_label,
        apart_s=_APART_S,
        folder=str(into.absolute()),
    )
    for answer in native.ask(job, limit_s=_CAMERA_MAX_S + job.frames * 4 * _APART_S):
        match answer:
            case Captured(frames=frames):
                _progress(f"{label}: {frames} of {job.frames}; turn it, move it, near and far")
            case Refused(detail=detail):
                _progress("")
                raise PortError(detail)
            case _:
                raise AssertionError(answer)
    _progress("")
    return label


def _wait(label: str, countdown_s: int | None) -> None:
    """Until the person is ready: for Enter, or where nobody can press it, for some seconds."""
    if countdown_s is None and sys.stdin.isatty():
        _asked(f"{label}: show it to the camera and press Enter ")
        return
    for left in range(_COUNTDOWN_S if countdown_s is None else countdown_s, 0, -1):
        _progress(f"{label}: show it to the camera, {left} s")
        time.sleep(1.0)


def _taught(arguments: argparse.Namespace, images: str) -> int:
    """
    Raises:
        Malformed: with what the child refused.
    """
    job = Teach(
        model=arguments.model,
        images=str(Path(images).absolute()) if images else "",
        out=arguments.out,
        add=arguments.add,
        layer=arguments.layer,
        unknown=arguments.unknown,
        name=arguments.name,
        fit=arguments.fit,
        runtime=arguments.runtime,
        threads=arguments.threads,
    )
    for answer in native.ask(job):
        match answer:
            case Looked(pictures=pictures, total=total):
                _progress(f"{pictures} of {total} pictures")
            case Passed(image=image, detail=detail):
                _progress("")
                print(printable(f"shoal-agent: {image}: {detail}; it is left out"), file=sys.stderr)
            case Taught():
                _progress("")
                _say(answer, as_json=arguments.json)
            case Refused(detail=detail):
                _progress("")
                raise Malformed(detail)
            case _:
                raise AssertionError(answer)
    return 0


def _progress(text: str) -> None:
    """One line that is written over, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{printable(text)}", end="", file=sys.stderr, flush=True)


def _say(answer: Taught, *, as_json: bool) -> None:
    if as_json:
        fields = msgspec.to_builtins(answer)
        del fields["type"]
        print(json.dumps(fields, indent=2))
        return
    for line in _lines(answer):
        print(printable(line))


def _lines(answer: Taught) -> Iterator[str]:
    counts = ", ".join(f"{label.name} ({label.pictures})" for label in answer.labels)
    yield f"taught {len(answer.labels)} labels: {counts}"
    low, high = answer.between
    yield (
        f"held out: {answer.right} of {answer.held_out} pictures right"
        f" ({answer.right / answer.held_out:.1%}; with 95 % confidence {low:.0%} to {high:.0%})"
    )
    if answer.unknown_share is not None:
        yield f"of these {answer.unknown_share:.1%} would be called unknown"
    yield from _mistakes(answer)
    yield from answer.remarks
    yield (
        f"{answer.file}: {answer.file_bytes / 2**20:.1f} MiB, {answer.dimensions} numbers a picture from"
        f" {_short(answer.layer)} ({answer.took_s:.1f} s)"
    )


def _short(name: str) -> str:
    """Converters join the names of all operators that became one."""
    return name if len(name) <= _NAME_LETTERS else f"{name[:_NAME_LETTERS]}..."


def _mistakes(answer: Taught) -> Iterator[str]:
    for each in answer.mistaken[:_PAIRS_SHOWN]:
        yield (
            f"{each.mistaken} of {each.pictures} pictures of {each.first!r} and {each.second!r} passed"
            f" for the other (similarity {each.similarity:.3f})"
        )
    rest = answer.mistaken[_PAIRS_SHOWN:]
    if rest:
        yield f"{sum(each.mistaken for each in rest)} more mistakes, in {len(rest)} other pairs of labels"
