"""`shoal-agent`: one command, its subcommands each in a module of their own."""

import io
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Final

from agent.adapters import standard_streams
from agent.cli import (
    accept,
    check,
    children,
    classify,
    completion,
    demo,
    hold,
    inspect,
    intermixed,
    invoke,
    native,
    run,
    teach,
)
from agent.cli.text import printable
from agent.core import usage
from agent.wire.errors import AgentError, ConfigError

EXIT_REFUSED: Final = 1
EXIT_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h: a person must edit a file, so the service manager does not try again."""
EXIT_INTERRUPTED: Final = 128 + 2
EXIT_BROKEN_PIPE: Final = 128 + 13

COMMANDS: Final = (
    run,
    demo,
    check,
    hold,
    accept,
    classify,
    inspect,
    invoke,
    teach,
    completion,
    native,
    children,
)
PUBLIC: Final = frozenset(
    {"run", "demo", "check", "hold", "accept", "classify", "inspect", "invoke", "teach", "completion"}
)


EXIT: Final = "exit status:"
EXIT_STATUS: Final = f"{EXIT} 0 done, 1 refused input, 2 wrong usage, 78 wrong configuration"
_DESCRIPTION = """\
Keeps an image classifier running on a device: pulls signed models over MQTT, proves each one here before
trusting it, and publishes what the camera sees."""
_EPILOG = f"""\
examples:
  shoal-agent check                        what ails this machine, and what to do
  shoal-agent run --config pi-1.toml       be the device that the file describes
  source <(shoal-agent completion bash)    complete commands, options and files

{EXIT_STATUS}"""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 refused input, 2 usage, 78 configuration."""
    standard_streams.open_closed()
    arguments = parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A label must not end the command on a terminal that lacks its letters.
            stream.reconfigure(errors="replace")
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except AgentError as error:
        print(printable(f"shoal-agent: {error}"), file=sys.stderr)
        return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_REFUSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        standard_streams.mute()
        return EXIT_BROKEN_PIPE
    except OSError as error:
        if not standard_streams.could_not_write(error):
            raise
        standard_streams.mute()
        print(f"shoal-agent: it could not be written: {error.strerror}", file=sys.stderr)
        return EXIT_REFUSED
    return status


def parser() -> usage.Parser:
    top = usage.Parser(
        prog="shoal-agent",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    top.add_argument("--version", action="version", version=f"shoal-agent {metadata.version('shoal')}")
    commands = top.add_subparsers(
        metavar="COMMAND", required=True, title="commands", parser_class=intermixed.Parser
    )
    for command in COMMANDS:
        command.add(commands)
    for name in PUBLIC:
        made = commands.choices[name]
        made.set_defaults(parser=made)
        made.epilog = "\n\n".join(
            filter(None, (made.epilog, "" if EXIT in (made.epilog or "") else EXIT_STATUS))
        )
    commands.choices["completion"].set_defaults(whole=top)
    commands.choices = _Offered(commands.choices)
    return top


class _Offered(dict[str, intermixed.Parser]):
    """All commands are found; those that only a child process is started with are not offered."""

    def __iter__(self) -> Iterator[str]:
        return (name for name in super().__iter__() if name in PUBLIC)
