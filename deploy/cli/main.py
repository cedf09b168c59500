"""The command line of the operator: its words, and the one place where errors become an exit status."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from typing import Final

from agent.adapters import standard_streams
from agent.core.usage import Parser
from agent.wire.errors import AgentError, ConfigError
from deploy.cli import output
from deploy.cli.command import EXIT_STATUS, Command, Group, ending

OK: Final = 0
REFUSED: Final = 1
CONFIG: Final = 78
INTERRUPTED: Final = 130

COMMANDS: Final[Mapping[str, str]] = {
    "init": "workspace_commands.INIT",
    "model": "model_command.GROUP",
    "train": "factory.train_command.COMMAND",
    "advise": "factory.advise_command.COMMAND",
    "compile": "factory.compile_command.COMMAND",
    "optimize": "factory.optimize_command.COMMAND",
    "evaluate": "factory.evaluate_command.COMMAND",
    "convert": "factory.convert_command.COMMAND",
    "release": "release_command.COMMAND",
    "rollout": "rollout.GROUP",
    "serve": "fleet.serve_command.COMMAND",
    "page": "fleet.page_command.COMMAND",
    "users": "fleet.users_command.GROUP",
    "audit": "fleet.audit_command.GROUP",
    "devices": "fleet.devices_command.COMMAND",
    "why": "fleet.why_command.COMMAND",
    "watch": "fleet.watch_command.COMMAND",
    "history": "fleet.history_command.COMMAND",
    "command": "fleet.remote_command.COMMAND",
    "enrol": "enrolment.enrol_command.ENROL",
    "revoke": "enrolment.enrol_command.REVOKE",
    "members": "enrolment.enrol_command.MEMBERS",
    "claims": "enrolment.claims_command.GROUP",
    "broker-config": "enrolment.broker_command.COMMAND",
    "approver": "rollout.approve.APPROVER",
    "device-config": "workspace_commands.DEVICE_CONFIG",
    "sign": "workspace_commands.SIGN",
    "rotate-keys": "workspace_commands.ROTATE",
    "publish": "workspace_commands.PUBLISH",
    "simulate": "simulate_command.COMMAND",
    "demo": "demo_command.COMMAND",
    "completion": "completion_command.COMMAND",
}
"""Where each stands below this package: whoever types one waits for that alone to be loaded."""

EPILOG = f"""\
Answers go to standard output, progress and complaints to standard error; --json gives an answer as one
document for programs. Most commands work on a workspace, the folder that shoal init made.

examples:
  shoal demo                                 see it work, on this machine alone
  shoal init fleet                           make a workspace
  shoal devices --json | jq '.counts'        what the fleet runs, for a program
  source <(shoal completion bash)            complete commands, options and names

{EXIT_STATUS}"""


def main(arguments: Sequence[str] | None = None) -> int:
    standard_streams.open_closed()
    words = sys.argv[1:] if arguments is None else arguments
    options = parser(words).parse_args(words)
    output.spell_what_it_can()
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
        # Whoever read the answer has seen enough.
        standard_streams.mute()
        return OK
    except OSError as error:
        if not standard_streams.could_not_write(error):
            raise
        standard_streams.mute()
        output.complain(f"it could not be written: {error.strerror}")
        return REFUSED
    return code


def commands(words: Sequence[str] = ()) -> tuple[Command | Group, ...]:
    """The one that these words begin with; all, where they begin with none."""
    wanted = words[:1] if words and words[0] in COMMANDS else tuple(COMMANDS)
    return tuple(_command(COMMANDS[each]) for each in wanted)


def _command(place: str) -> Command | Group:
    module, _, name = place.rpartition(".")
    found: Command | Group = getattr(import_module(f"deploy.cli.{module}"), name)
    return found


def parser(words: Sequence[str] = ()) -> Parser:
    """For what was typed; see `commands`."""
    top = Parser(
        prog="shoal",
        description="Puts quantized .tflite models onto a fleet of Raspberry Pi and Coral devices over MQTT.",
        epilog=EPILOG,
    )
    top.add_argument("--version", action="version", version=f"shoal {metadata.version('shoal')}")
    _add(top, commands(words))
    return top


def _add(parent: Parser, commands: Sequence[Command | Group]) -> None:
    below = parent.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        made = below.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=ending(command),
        )
        if isinstance(command, Group):
            _add(made, command.commands)
            continue
        command.add_options(made)
        made.set_defaults(run=command.run, parser=made)
