"""`shoal demo`: what `make demo` runs."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from rich.console import Console

from deploy.assemble.demo import models_folder
from deploy.cli.command import Command
from deploy.demo.run import Options, demo

EPILOG = """\
The last line of standard output is one JSON object with what the device did.

examples:
  shoal demo
  shoal demo --frames 200 | tail -n 1 | jq .
  shoal demo --broker mqtt://192.168.1.10:1883 --keep demo
"""


def _frames(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise ArgumentTypeError(f"{text!r} is not a number of predictions from 1 to 1000000")
    return int(text)


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--frames", type=_frames, metavar="N", help="end after so many predictions (default: with Ctrl-C)"
    )
    parser.add_argument(
        "--broker",
        metavar="URL",
        help="mqtt://host:port of a broker that runs (default: one of the demo's own, on loopback)",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="work in this new folder and leave everything there: workspace, device, logs",
    )


def _run(options: Namespace) -> int:
    return demo(Options(options.frames, options.broker, options.keep), models_folder(), Console())


COMMAND = Command(
    "demo",
    "show a real model on a real broker, on this machine: pulled, proven, swapped, a bad one refused",
    _add_options,
    _run,
    EPILOG,
    also=("init",),
)
