"""What is wrong with a command line, in one sentence with its remedy."""

import argparse
import difflib
from argparse import _SubParsersAction
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from deploy.cli import output

WRONG_USAGE: Final = 2
_NEAR: Final = 0.6
"""Likeness from which on one word is meant for another, 0 to 1."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, where argparse prints every option there is."""

    def error(self, message: str) -> NoReturn:
        words = " ".join(message.split())
        output.note(
            f"{self.prog}: {words}{' ' if words.endswith('?') else '; '}{self.prog} --help tells more"
        )
        raise SystemExit(WRONG_USAGE)

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
        return f"there is no option {option}{_near(option, self._option_string_actions)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if not isinstance(action, _SubParsersAction) or value in action.choices:
            super()._check_value(action, value)
            return
        names = list(action.choices)
        near = _near(value, names) or f", but {', '.join(names)}"
        raise argparse.ArgumentError(None, f"there is no command {value!r}{near}")


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=_NEAR)
    return f": did you mean {near[0]}?" if near else ""
