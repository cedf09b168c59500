"""From a parsed TOML document to sections: every key known, every value possible, or one sentence why not."""

import difflib
import math
import typing
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, Final, TypeVar

import msgspec
from msgspec import NODEFAULT, Struct, inspect
from msgspec.structs import FieldInfo

from agent.config.lines import Key
from agent.wire.errors import ConfigError

S = TypeVar("S", bound=Struct)

CONTROL: Final = frozenset(map(chr, (*range(32), 127)))
"""In no path, address or name: the kernel and the broker refuse some of them, and a terminal obeys others."""


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration file, and on which line of it each key stands."""

    path: str
    lines: dict[Key, int] = field(default_factory=dict)

    def refusal(self, key: Key, what: str) -> ConfigError:
        """The sentence about a key, with the line of the nearest table around it that the file spells out."""
        known = (self.lines.get(key[:length]) for length in range(len(key), 0, -1))
        line = next((number for number in known if number is not None), None)
        where = self.path if line is None else f"{self.path} line {line}"
        return ConfigError(f"configuration {where}: {what}")


def convert(table: dict[str, Any], kind: type[S], source: Source, above: Key = ()) -> S:
    """The table as this section.

    Raises:
        ConfigError: an unknown key, a missing one, or a value outside what its key allows.
    """
    fields = {each.name: each for each in msgspec.structs.fields(kind)}
    for name in table:
        if name not in fields:
            raise source.refusal((*above, name), _unknown(name, list(fields), above))
    for each in fields.values():
        if each.name not in table and each.default is NODEFAULT and each.default_factory is NODEFAULT:
            raise source.refusal(
                above, f"[{'.'.join(above)}] lacks the key {each.name!r}, which has no default"
            )
    values = {name: _value(value, fields[name], source, (*above, name)) for name, value in table.items()}
    return kind(**values)


def _unknown(name: str, known: list[str], above: Key) -> str:
    where = f" in [{'.'.join(above)}]" if above else ""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"unknown key {name!r}{where}; did you mean {near!r}?"


def _value(value: Any, about: FieldInfo, source: Source, key: Key) -> Any:
    section = section_of(about.type)
    if typing.get_origin(about.type) is dict:
        return _named(_table(value, source, key), about, source, key)
    if section is not None:
        return convert(_table(value, source, key), section, source, key)
    try:
        converted = msgspec.convert(value, about.type)
    except msgspec.ValidationError as error:
        raise source.refusal(key, _impossible(value, about.type, key)) from error
    if isinstance(converted, float) and not math.isfinite(converted):
        raise source.refusal(key, _impossible(value, about.type, key))
    if any(character in CONTROL for text in _texts(converted) for character in text):
        raise source.refusal(key, f"{'.'.join(key)} is {_shown(value)}: leave out the control character")
    return converted


def _texts(value: object) -> tuple[str, ...]:
    match value:
        case str():
            return (value,)
        case tuple():
            return value
        case _:
            return ()


def _named(table: dict[str, Any], about: FieldInfo, source: Source, key: Key) -> dict[str, Struct]:
    """Sections under names that the file chooses."""
    name_type, section = typing.get_args(about.type)
    for name in table:
        try:
            msgspec.convert(name, name_type)
        except msgspec.ValidationError as error:
            raise source.refusal((*key, name), f"the name {name!r}: {expected(name_type)}") from error
    return {
        name: convert(_table(value, source, (*key, name)), section, source, (*key, name))
        for name, value in table.items()
    }


def _table(value: Any, source: Source, key: Key) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise source.refusal(
            key, f"{'.'.join(key)} is {_shown(value)}: a section [{'.'.join(key)}] is needed"
        )
    return value


def section_of(kind: Any) -> type[Struct] | None:
    """The section that a field of this type holds; `X | None` holds an X."""
    for each in typing.get_args(kind) or (kind,):
        if isinstance(each, type) and issubclass(each, Struct):
            return each
    return None


def _impossible(value: Any, kind: Any, key: Key) -> str:
    return f"{'.'.join(key)} is {_shown(value)}: {expected(kind)}"


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case date() | time():
            return value.isoformat()
        case _:
            return repr(value)[:120]


def expected(kind: Any) -> str:
    """In words, what a key of this type takes."""
    return f"use {_words(inspect.type_info(kind))}"


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            return str((extra or {}).get("description", "")) or _words(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType(min_length=int()):
            return "text in quotes, and not empty"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number{_range(low, None, high)}"
        case inspect.FloatType(ge=low, gt=above, le=high):
            return f"a number{_range(low, above, high)}"
        case inspect.EnumType(cls=cls):
            return f"one of {', '.join(cls)}"
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.VarTupleType(item_type=item):
            return f"a list, each of it {_words(item)}"
        case _:
            return "text in quotes"


def _range(low: float | None, above: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:.12g} to {high:.12g}"
    parts = (
        "" if low is None else f"from {low:.12g} up",
        "" if above is None else f"above {above:.12g}",
        "" if high is None else f"up to {high:.12g}",
    )
    said = " and ".join(filter(None, parts))
    return f" {said}" if said else ""
