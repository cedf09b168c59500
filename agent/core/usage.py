"""What is wrong with a command line, in one sentence with its remedy."""

import argparse
import difflib
import re
import textwrap
from argparse import _SubParsersAction
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NoReturn

WRONG_USAGE: Final = 2
NEAR: Final = 0.65
"""Likeness from which on one word is meant for another, 0 to 1: `nope` is not meant for `invoke`."""
PROSE_MAX: Final = 105
"""Letters in a line that one likes to read, however wide the terminal is."""
ENTRY: Final = re.compile(r"( +\S(?:.*?\S)?  +)(\S.*)")
"""A term or an example, and behind two blanks or more what is said of it."""
SAID_MIN: Final = 20
"""Letters beside a term that are worth breaking lines for."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Breaks prose to the width of the terminal; lines that are set in, such as examples, stay lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.indent("\n".join(filled(text, min(width, PROSE_MAX) - len(indent))), indent)


def filled(text: str, width: int) -> Iterator[str]:
    """The lines of a description: neighbours that begin at the margin are one paragraph."""
    for paragraph, lines in groupby(text.splitlines(), lambda line: bool(line) and not line.startswith(" ")):
        if paragraph:
            yield from textwrap.wrap(" ".join(lines), width, break_on_hyphens=False)
        else:
            for line in lines:
                yield from _entry(line, width)


def _entry(line: str, width: int) -> Iterable[str]:
    found = ENTRY.fullmatch(line)
    if found is None or len(line) <= width or width - len(found[1]) < SAID_MIN:
        return (line,)
    return textwrap.wrap(
        found[2],
        width,
        initial_indent=found[1],
        subsequent_indent=" " * len(found[1]),
        break_on_hyphens=False,
    )


class Parser(argparse.ArgumentParser):
    """Names the nearest command or option, where argparse prints all that there are."""

    def __init__(self, *, formatter_class: type[argparse.HelpFormatter] = Help, **options: Any) -> None:
        super().__init__(formatter_class=formatter_class, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{complaint(self.prog, message)}\n")

    def parse_args(  # type: ignore[override]  # one signature for its overloads
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        found: argparse.Namespace
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            asked: Parser = getattr(found, "parser", self)
            asked.error(asked.unknown(unknown))
        return found

    def unknown(self, words: Sequence[str]) -> str:
        """What to say of words that no option and no argument took."""
        option = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
        if option is None:
            return f"{' '.join(words)} is one argument too many"
        return f"there is no option {option}{nearest(option, self._option_string_actions)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if not isinstance(action, _SubParsersAction) or value in action.choices:
            super()._check_value(action, value)
            return
        near = nearest(value, action.choices) or f", but {', '.join(action.choices)}"
        raise argparse.ArgumentError(None, f"there is no command {value!r}{near}")


def nearest(word: str, known: Iterable[str]) -> str:
    """A question for who may have meant another word; empty where none is like it."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=NEAR)
    return f": did you mean {near[0]}?" if near else ""


def complaint(program: str, message: str) -> str:
    """One line, whatever was typed."""
    words = "".join(letter if letter.isprintable() else " " for letter in message)
    ends = " " if words.endswith("?") else "; "
    return f"{program}: {' '.join(words.split())}{ends}{program} --help tells more"
