"""`shoal-agent hold`: nothing is to be changed on this device for now."""

import argparse
import json
from pathlib import Path

from agent.cli.text import printable

_DESCRIPTION = """\
Let this device begin no update until `shoal-agent hold --end`. What has begun goes on, and a release that is
taken back goes back all the same. The reason is told to the operator."""
_EPILOG = """\
examples:
  shoal-agent hold the line is running
  shoal-agent hold --end"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "hold",
        help="let no update begin, until --end",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("words", nargs="*", metavar="WORDS", help="why")
    parser.add_argument("--end", action="store_true", help="let updates begin again")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the device's TOML file (default: /etc/shoal/agent.toml)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from agent import config  # noqa: PLC0415 - `classify` must not pay for the configuration
    from agent.adapters.veto_file import VetoFile  # noqa: PLC0415 - same

    path = config.read(config.find(arguments.config)).veto_path
    reason = printable(" ".join(arguments.words) or "held on the device")
    if arguments.end:
        VetoFile(path).take_away()
    else:
        VetoFile(path).put(reason)
    if arguments.json:
        print(
            json.dumps(
                {"held": not arguments.end, "file": str(path), "reason": "" if arguments.end else reason}
            )
        )
    elif arguments.end:
        print(f"updates may begin again: {printable(str(path))} is gone")
    else:
        print(f"no update begins while {printable(str(path))} is there; shoal-agent hold --end removes it")
    return 0
