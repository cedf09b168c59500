"""The command line of the operator: its words, and the one place where errors become exit codes."""

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Final

from agent.wire.errors import AgentError, ConfigError
from deploy.cli import (
    audit_command,
    broker_command,
    claims_command,
    demo_command,
    devices_command,
    enrol_command,
    history_command,
    model_command,
    output,
    release_command,
    remote_command,
    rollout,
    serve_command,
    simulate_command,
    watch_command,
    why_command,
    workspace_commands,
)
from deploy.cli.command import Command, Group
from deploy.cli.rollout import approve

OK: Final = 0
REFUSED: Final = 1
CONFIG: Final = 78
INTERRUPTED: Final = 130

COMMANDS: Final[tuple[Command | Group, ...]] = (
    workspace_commands.INIT,
    model_command.GROUP,
    release_command.COMMAND,
    rollout.GROUP,
    serve_command.COMMAND,
    audit_command.GROUP,
    devices_command.COMMAND,
    why_command.COMMAND,
    watch_command.COMMAND,
    history_command.COMMAND,
    remote_command.COMMAND,
    enrol_command.ENROL,
    enrol_command.REVOKE,
    enrol_command.MEMBERS,
    claims_command.GROUP,
    broker_command.COMMAND,
    approve.APPROVER,
    workspace_commands.DEVICE_CONFIG,
    workspace_commands.SIGN,
    workspace_commands.ROTATE,
    workspace_commands.PUBLISH,
    simulate_command.COMMAND,
    demo_command.COMMAND,
)

EPILOG = """\
exit codes: 0 done; 1 refused, or something outside failed; 2 wrong usage; 78 a file or an option must change
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except ConfigError as error:
        output.complain(str(error))
        return CONFIG
    except AgentError as error:
        output.complain(str(error))
        return REFUSED
    except KeyboardInterrupt as interrupt:
        output.complain(str(interrupt) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the answer has seen enough; the interpreter must not flush into the pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def parser() -> ArgumentParser:
    top = ArgumentParser(
        prog="shoal",
        description="Puts quantized .tflite models onto a fleet of Raspberry Pi and Coral devices over MQTT.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    _add(top, COMMANDS)
    return top


def _add(parent: ArgumentParser, commands: Sequence[Command | Group]) -> None:
    below = parent.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        made = below.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=command.epilog if isinstance(command, Command) else None,
            formatter_class=RawDescriptionHelpFormatter,
        )
        if isinstance(command, Group):
            _add(made, command.commands)
            continue
        command.add_options(made)
        made.set_defaults(run=command.run)
