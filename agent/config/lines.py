"""Where in a TOML file each key stands."""

import tomllib
from collections.abc import Iterator
from typing import Any

Key = tuple[str, ...]


def key_lines(text: str) -> dict[Key, int]:
    """The line, counted from 1, on which the statement begins that gives each key its value.

    The parser of the standard library tells no positions, so it is fed the file statement by statement: what
    it newly finds stands there. A statement is as many lines as it takes to parse, below the table's header.
    """
    found: dict[Key, int] = {}
    header, statement, begins = "", "", 1
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not statement:
            begins = number
        statement += line
        parsed = _parse(header + statement)
        if parsed is None:
            continue
        if statement.lstrip().startswith("["):
            header = statement if statement.endswith("\n") else f"{statement}\n"
        for key in _leaves(parsed):
            found.setdefault(key, begins)
        statement = ""
    return found


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _leaves(table: dict[str, Any], above: Key = ()) -> Iterator[Key]:
    """Every key, and every table by itself, so that an empty section has a line too."""
    for name, value in table.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from _leaves(value, (*above, name))
