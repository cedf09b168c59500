"""`shoal-agent check`: the effective settings, and whether this machine can serve."""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from agent.adapters.machine.child import SUBCOMMAND
from agent.cli.text import printable
from agent.core.findings.finding import Area, Finding, can_serve
from agent.wire.errors import ConfigError

if TYPE_CHECKING:
    from agent.config import Configuration, Effective

EXIT_MEND: Final = 78
"""EX_CONFIG of sysexits.h: a person must act first."""

_DESCRIPTION = """\
Show every setting with its origin, then examine this machine: configuration, clock, disk, permissions,
runtime, Edge TPU, camera, trust, broker. Each finding has one line of cause and one of remedy. An agent may
run meanwhile."""

_EPILOG = """\
exit status: 0 it can serve, 78 a person must act first

examples:
  shoal-agent check
  shoal-agent check --only runtime --only camera --model my.tflite
  shoal-agent check --json | jq '.findings[] | select(.severity != "ok")'"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "check",
        help="show the settings and examine this machine",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the device's TOML file (default: /etc/shoal/agent.toml)"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[area.value for area in Area],
        metavar="AREA",
        help=f"examine only this, and show no settings: {', '.join(Area)}; may be repeated",
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="a .tflite file to measure")
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    parser.set_defaults(run=_run)
    commands.add_parser(SUBCOMMAND).set_defaults(run=_examine)


def _examine(_: argparse.Namespace) -> int:
    """The child's side. What native libraries print goes to standard error, not into the answer."""
    from agent.adapters.pipe_stdio import die_with_parent  # noqa: PLC0415 - other commands must not pay
    from agent.assemble.checking import check_child  # noqa: PLC0415 - same

    die_with_parent()
    out = os.dup(1)
    os.dup2(2, 1)
    answer = check_child.perform(sys.stdin.buffer.read())
    with contextlib.suppress(BrokenPipeError), os.fdopen(out, "wb") as pipe:
        pipe.write(answer)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from agent import config  # noqa: PLC0415 - other commands must not pay for it
    from agent.assemble.checking import check  # noqa: PLC0415 - same

    configuration, fault = _configuration(arguments.config)
    examination = check.Examination(configuration, fault, arguments.model)
    show = _Json() if arguments.json else _Text()
    if not arguments.only and fault is None:
        show.settings(config.effective(configuration))
    findings = []
    for finding in check.examine(examination, map(Area, arguments.only or Area)):
        show.finding(finding)
        findings.append(finding)
    serves = can_serve(findings)
    show.end(serves=serves)
    return 0 if serves else EXIT_MEND


def _configuration(named: Path | None) -> tuple["Configuration", str | None]:
    """The file's, else the defaults, with the reason why neither can be used."""
    from agent import config  # noqa: PLC0415 - same

    path = named or config.DEFAULT_PATH
    try:
        if named is None and not config.there(path):
            return config.defaults(_here()), None
        return config.examine(path), None
    except ConfigError as error:
        return config.Configuration(config.Settings(), path), str(error)


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError(
            f"the current folder cannot be used ({error.strerror}): change to another, or name a file with "
            "--config"
        ) from error


class _Text:
    def settings(self, settings: tuple["Effective", ...]) -> None:
        width = max(len(setting.key) for setting in settings)
        for setting in settings:
            print(printable(f"{setting.key:{width}} = {_value(setting):24}  {_origin(setting)}"))
        print()

    def finding(self, finding: Finding) -> None:
        print(printable(f"{finding.severity:9} {finding.name:20} {finding.cause}"), flush=True)
        if finding.remedy:
            print(printable(f"{'':9} {'':20} -> {finding.remedy}"), flush=True)

    def end(self, *, serves: bool) -> None:
        print(f"\n{'this device can serve' if serves else 'a person must act before this device can serve'}")


class _Json:
    def __init__(self) -> None:
        self._settings: list[object] = []
        self._findings: list[object] = []

    def settings(self, settings: tuple["Effective", ...]) -> None:
        self._settings = [msgspec.to_builtins(setting) for setting in settings]

    def finding(self, finding: Finding) -> None:
        self._findings.append(msgspec.to_builtins(finding))

    def end(self, *, serves: bool) -> None:
        answer = {"serves": serves, "settings": self._settings, "findings": self._findings}
        print(json.dumps(answer, indent=2))


def _value(setting: "Effective") -> str:
    return json.dumps(setting.value, ensure_ascii=False)


def _origin(setting: "Effective") -> str:
    return f"line {setting.line}" if setting.line else _ORIGINS.get(setting.origin, setting.origin)


_ORIGINS: Final = {
    "host": "the host's name",
    "credential": "the service manager's credential",
    "main": "the device's own section",
}
