"""What is wrong with a command line, in one sentence with its remedy."""

import argparse
import difflib
from argparse import _SubParsersAction
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

WRONG_USAGE: Final = 2
NEAR: Final = 0.65
"""Likeness from which on one word is meant for another, 0 to 1: `nope` is not meant for `invoke`."""


class Parser(argparse.ArgumentParser):
    """Names the nearest command or option, where argparse prints all that there are."""

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
