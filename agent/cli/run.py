"""`shoal-agent run`: the daemon."""

import argparse
from pathlib import Path

_DESCRIPTION = """\
Run this device until SIGTERM or Ctrl-C. The operator writes the configuration file with
`shoal device-config`; every key has a default. SIGHUP makes it read the file again."""
_EPILOG = """\
examples:
  shoal-agent run
  shoal-agent run --config device/pi-1.toml --verbose

see also: shoal-agent check, which tells beforehand whether this machine can serve"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "run",
        help="run the device: pull, prove, classify, publish",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the device's TOML file (default: /etc/shoal/agent.toml)"
    )
    parser.add_argument("--verbose", action="store_true", help="log what is of use only for finding faults")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from agent import config  # noqa: PLC0415 - `classify` must not pay for the daemon
    from agent.assemble import claiming, supervisor  # noqa: PLC0415 - same

    path = config.find(arguments.config)
    settings = config.read(path)
    if config.claimed.pending(settings):
        claiming.claim(settings, verbose=arguments.verbose)
        settings = config.read(path)
    return supervisor.run(settings, path, verbose=arguments.verbose)
