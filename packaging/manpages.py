# ruff: noqa: INP001 -- a program of the build, no package
"""Writes a manual page for `shoal`, for `shoal-agent` and for each of their commands: manpages.py FOLDER.

They are made of the parsers themselves, so that no page knows another option than the command does.
Source of the macros: man(7), groff_man(7).
"""

import argparse
import re
import sys
from argparse import HelpFormatter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.cli.main import PUBLIC
from agent.cli.main import parser as device_parser
from deploy.cli.main import parser as operator_parser

FILES: Final = {
    "shoal": ("shoal.toml", "the settings of a workspace, which shoal init makes"),
    "shoal-agent": ("/etc/shoal/agent.toml", "the settings of the device"),
}
HEADINGS: Final = {
    "examples": "EXAMPLES",
    "exit status": "EXIT STATUS",
    "see also": "SEE ALSO",
}
PART: Final = re.compile(rf"^({'|'.join(HEADINGS)}):[ \n]?", re.MULTILINE)


class Wide(HelpFormatter):
    """The usage in one line, which troff breaks."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100_000)


def pages(parser: argparse.ArgumentParser, summary: str) -> Iterator[tuple[str, str]]:
    """The name of each page and its text: of the command, and of those below it.

    Args:
        parser: of the command.
        summary: what the command does, in a few words.
    """
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    offered = [(choice.dest, choice.help or "") for action in below for choice in action._choices_actions]  # noqa: SLF001
    name = parser.prog.replace(" ", "-")
    yield name, "\n".join(page(parser, summary, [(f"{name}-{word}", said) for word, said in offered]))
    for action in below:
        for word, said in offered:
            yield from pages(action.choices[word], said)


def page(parser: argparse.ArgumentParser, summary: str, below: list[tuple[str, str]]) -> Iterator[str]:
    name = parser.prog.replace(" ", "-")
    version = metadata.version("shoal")
    yield f'.TH "{name.upper()}" "1" "" "Shoal {version}" "Shoal"\n.nh\n.ad l'
    yield f".SH NAME\n{plain(name)} \\- {plain(summary)}"
    parser.formatter_class = Wide
    usage = " ".join(parser.format_usage().removeprefix("usage: ").removeprefix(parser.prog).split())
    yield f".SH SYNOPSIS\n.B {plain(parser.prog)}\n{plain(usage)}"
    yield f".SH DESCRIPTION\n{plain(parser.description or summary)}"
    parts = PART.split(parser.epilog or "")
    if parts[0].strip():
        yield f".PP\n{literal(parts[0])}"
    yield from options(parser)
    if below:
        yield ".SH COMMANDS"
        yield from (f".TP\n.BR {plain(each)} (1)\n{plain(said)}" for each, said in below)
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        yield f".SH {HEADINGS[heading]}\n{told(heading, text)}"
    path, what = FILES[parser.prog.split()[0]]
    yield f".SH FILES\n.TP\n.I {plain(path)}\n{plain(what)}"


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = HelpFormatter(parser.prog)
    for group in parser._action_groups:  # noqa: SLF001 - argparse offers them nowhere else
        shown = [
            action
            for action in group._group_actions  # noqa: SLF001 - same
            if action.help != argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        ]
        if shown:
            yield f".SH {plain((group.title or 'options').upper())}"
            for action in shown:
                said = formatter._expand_help(action)  # noqa: SLF001 - fills in %(default)s and %%
                yield f".TP\n{plain(formatter._format_action_invocation(action))}\n{plain(said)}"  # noqa: SLF001


def told(heading: str, text: str) -> str:
    if heading == "examples":
        return literal(text)
    if heading == "see also":
        named, _, rest = " ".join(text.split()).partition(", which")
        pages_of = ", ".join(f"{plain(each.strip().replace(' ', '-'))}(1)" for each in named.split(","))
        return pages_of + plain(f", which{rest}" if rest else "")
    return plain(" ".join(text.split()))


def literal(text: str) -> str:
    """Lines stay lines."""
    return f".nf\n{plain(text.strip(chr(10)))}\n.fi"


def plain(text: str) -> str:
    """Nothing in it is a macro, and a dash is one that can be copied into a shell."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)


def write(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for parser, summary in (
        (operator_parser(), "models for a fleet of devices, from the conversion to the last wave"),
        (device_parser(), "keeps an image classifier running on a device"),
    ):
        for name, text in pages(parser, summary):
            if name.startswith("shoal-agent-") and name.split("-")[2] not in PUBLIC:
                continue
            (folder / f"{name}.1").write_text(f"{text}\n")
            count += 1
    return count


if __name__ == "__main__":
    sys.stdout.write(f"{sys.argv[1]}: {write(Path(sys.argv[1]))} manual pages\n")
