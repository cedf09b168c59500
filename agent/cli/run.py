"""`shoal-agent run`: the daemon."""

import argparse
from pathlib import Path


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "run",
        help="run the device: pull, prove, classify, publish",
        description="Run this device until SIGTERM or Ctrl-C. The operator writes the configuration file "
        "with `shoal device-config`; every key has a default. SIGHUP makes it read the file again.",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the device's TOML file (default /etc/shoal/agent.toml)"
    )
    parser.add_argument("--verbose", action="store_true", help="log what is of use only for finding faults")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from agent import config  # noqa: PLC0415 - `classify` must not pay for the daemon
    from agent.assemble import supervisor  # noqa: PLC0415 - same

    path = config.find(arguments.config)
    return supervisor.run(config.read(path), path, verbose=arguments.verbose)
