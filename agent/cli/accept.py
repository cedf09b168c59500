"""`shoal-agent accept`: the release that waits on this device is begun."""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.cli.text import printable
from agent.wire.errors import Unavailable
from agent.wire.topics import MAIN

if TYPE_CHECKING:
    from agent.adapters.acceptance_files import AcceptanceFiles

PATIENCE_S: Final = 15.0
"""The agent looks once a second."""
LOOK_S: Final = 0.1
_DESCRIPTION = """\
Begin the release that waits on this device. With accept = "asked" in its configuration, a release that the
operator offers waits until somebody accepts it: here, on the device's page, or in Home Assistant. Without
VERSION, whatever waits is accepted; a later release waits anew."""
_EPILOG = """\
examples:
  shoal-agent accept --show
  shoal-agent accept 1.4.0"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "accept",
        help='begin the release that waits here, with accept = "asked"',
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("version", nargs="?", default="", metavar="VERSION", help="only if it is this one")
    parser.add_argument("--show", action="store_true", help="say what waits, and accept nothing")
    parser.add_argument("--pipeline", default=MAIN, metavar="NAME", help=f"default: {MAIN}")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the device's TOML file (default: /etc/shoal/agent.toml)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from agent import config  # noqa: PLC0415 - `classify` must not pay for the configuration
    from agent.adapters.acceptance_files import AcceptanceFiles  # noqa: PLC0415 - same
    from agent.config.pipelines import state_dir  # noqa: PLC0415 - same

    settings = config.read(config.find(arguments.config))
    names = [line.name for line in config.pipelines(settings)]
    if arguments.pipeline not in names:
        raise Unavailable(f"there is no pipeline {arguments.pipeline!r} here, but {', '.join(names)}")
    files = AcceptanceFiles(state_dir(settings, arguments.pipeline))
    offered = files.offered()
    if offered is None:
        raise Unavailable("no release waits to be accepted; shoal-agent run must be running")
    named = printable(f"{offered.name} {offered.version}")
    if arguments.json and arguments.show:
        print(json.dumps({"name": offered.name, "version": offered.version, "accepted": False}))
        return 0
    if arguments.show:
        print(f"{named} waits to be accepted: shoal-agent accept {printable(offered.version)}")
        return 0
    if arguments.version not in {"", offered.version}:
        raise Unavailable(f"{named} waits to be accepted, not {printable(arguments.version)}")
    files.accept(offered)
    if not _is_taken(files):
        raise Unavailable(
            f"{named} is not accepted: nothing has taken the word for it within {PATIENCE_S:g} s; "
            "shoal-agent run must be running"
        )
    if arguments.json:
        print(json.dumps({"name": offered.name, "version": offered.version, "accepted": True}))
        return 0
    print(f"{named} is accepted: the agent begins it as soon as nothing else holds it")
    return 0


def _is_taken(files: "AcceptanceFiles") -> bool:
    """Waits for the agent; what it has not taken by then is taken back."""
    ends_s = time.monotonic() + PATIENCE_S
    while not files.is_taken():
        if time.monotonic() >= ends_s:
            return not files.withdraw()
        time.sleep(LOOK_S)
    return True
