"""`shoal-agent demo`: a camera, a model and the page over them."""

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.cli.text import path, printable
from agent.wire.errors import ConfigError

if TYPE_CHECKING:
    from agent.adapters.web.server import Down, Up
    from agent.config import Camera, Settings
    from agent.wire.ipc import CameraTurned, Predicted

LISTEN: Final = "127.0.0.1:8480"
CAMERA_FPS: Final = 10.0
PHOTOGRAPHS_FPS: Final = 2.0
"""So that one can look at each."""
LINES_APART_S: Final = 0.4
_CAMERAS: Final = ("auto", "picamera2", "v4l2", "replay", "pattern")

_DESCRIPTION = """\
Look at what the camera sees through a model, in the terminal and on a page in the browser: live picture,
ranked labels, latencies. There is no broker, no fleet and no root in it, and nothing is kept. Without a
camera it shows the photographs that come with the program. Ctrl-C ends it."""

_EPILOG = """\
examples:
  shoal-agent demo
  shoal-agent demo --camera replay --frames 50
  shoal-agent demo --model birds.tflite --labels birds.txt"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "demo",
        help="watch a camera through a model on a page, without a broker",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--camera",
        choices=_CAMERAS,
        default="auto",
        metavar="KIND",
        help=f"{', '.join(_CAMERAS)} (default: auto: the first that works, else the photographs)",
    )
    parser.add_argument(
        "--photographs",
        type=path,
        metavar="FOLDER",
        help="what --camera replay shows (default: those that come along)",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        metavar="FPS",
        help=f"frames a second (default: {CAMERA_FPS:g}, of photographs {PHOTOGRAPHS_FPS:g})",
    )
    parser.add_argument(
        "--model", type=path, metavar="FILE", help="a .tflite classifier (default: the one that comes along)"
    )
    parser.add_argument(
        "--labels",
        type=path,
        metavar="FILE",
        help="names of its classes, one a line (default: those inside the model, else numbers)",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help=f"where the page is (default: {LISTEN}, or any port); beyond loopback with --password-file",
    )
    parser.add_argument(
        "--password-file", type=path, metavar="FILE", help="the first line of it is what the page asks for"
    )
    parser.add_argument("--frames", type=_count, metavar="N", help="end after so many frames")
    parser.set_defaults(run=_run)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.0 < rate <= 1000.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: give frames a second, up to 1000")
    return rate


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames: give 1 or more")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    from agent.assemble import demo, shipped  # noqa: PLC0415 - other commands must not pay for it

    logging.getLogger().addHandler(logging.NullHandler())
    model, labels = arguments.model, arguments.labels
    if model is None:
        folder = shipped.folder()
        model, labels = folder / shipped.MODEL, labels or folder / shipped.LABELS
    settings = _settings(arguments)
    wanted = demo.Wanted(settings, Path(model), Path(labels) if labels else None, arguments.frames)
    demo.run(wanted, demo.Told(_page, _Seen().frame, _turned))
    return 0


def _settings(arguments: argparse.Namespace) -> "Settings":
    """As of a device with just these."""
    import tempfile  # noqa: PLC0415 - same

    from agent.config import Device, Settings, Web  # noqa: PLC0415 - same

    _ready(arguments)
    web = Web(listen=arguments.listen or _free(), password_file=arguments.password_file or "")
    return Settings(
        device=Device(id="demo", state_dir=tempfile.gettempdir()), camera=_camera(arguments), web=web
    )


def _ready(arguments: argparse.Namespace) -> None:
    """
    Raises:
        ConfigError: the page has no password though others can reach it, or the file holds none.
    """
    from agent.assemble.page import first_line  # noqa: PLC0415 - same
    from agent.core.page.place import parse  # noqa: PLC0415 - same

    if arguments.password_file:
        first_line(Path(arguments.password_file), "--password-file")
    elif arguments.listen and not parse(arguments.listen).loopback:
        raise ConfigError(
            f"--listen {arguments.listen} can be reached from elsewhere: give it a --password-file, "
            "or listen on 127.0.0.1"
        )


def _camera(arguments: argparse.Namespace) -> "Camera":
    """
    Raises:
        ConfigError: the photographs are not there.
    """
    from agent.assemble import shipped  # noqa: PLC0415 - same
    from agent.assemble.checking import check_child  # noqa: PLC0415 - same
    from agent.config import Camera, CameraKind  # noqa: PLC0415 - same
    from agent.core.findings.devices import CameraFails  # noqa: PLC0415 - same

    kind = CameraKind(arguments.camera)
    camera = Camera(kind=kind, rate_fps=arguments.rate or CAMERA_FPS)
    if kind is CameraKind.AUTO:
        found = check_child.look_through(camera)
        if not isinstance(found, CameraFails):
            _say(f"camera: {found.kind}, {found.detail}")
            return camera
        _say(f"no camera: {found.cause}")
        kind = CameraKind.REPLAY
    if kind is CameraKind.REPLAY:
        folder = arguments.photographs or str(shipped.folder() / shipped.PHOTOGRAPHS)
        if not Path(folder).is_dir():
            raise ConfigError(f"--photographs {folder} is no folder: name one with jpg, png or bmp pictures")
        _say(f"camera: the photographs in {folder}")
        return Camera(kind=kind, folder=folder, rate_fps=arguments.rate or PHOTOGRAPHS_FPS)
    return camera


def _free() -> str:
    """The usual place, or where another program has it, any port."""
    from agent.adapters.web.server import bind  # noqa: PLC0415 - same
    from agent.core.page.place import parse  # noqa: PLC0415 - same

    try:
        bind(parse(LISTEN)).close()
    except OSError as error:
        _say(f"{LISTEN} is not to be had ({error.strerror}): the page takes another port")
        return "127.0.0.1:0"
    return LISTEN


def _page(turned: "Up | Down") -> None:
    from agent.adapters.web.server import Up  # noqa: PLC0415 - same

    if isinstance(turned, Up):
        _say(f"page: {turned.url}")
    else:
        _say(f"no page: {turned.reason}; trying again")


def _turned(camera: "CameraTurned") -> None:
    found = f": {camera.detail}" if camera.detail else ""
    _say(f"camera: {camera.kind or 'none'}, {camera.state}{found}")


class _Seen:
    """A line whenever the best label is another one, and not more than one can read."""

    def __init__(self) -> None:
        self._label, self._said_s = "", 0.0

    def frame(self, seen: "Predicted") -> None:
        if not seen.predictions:
            return
        best, now_s = seen.predictions[0], time.monotonic()
        if best.label != self._label and now_s - self._said_s >= LINES_APART_S:
            self._label, self._said_s = best.label, now_s
            _say(
                f"frame {seen.sequence:<6} {best.score:7.3f}  {best.label}  ({seen.latency_ms.invoke:.1f} ms)"
            )


def _say(line: str) -> None:
    print(printable(line), flush=True)
