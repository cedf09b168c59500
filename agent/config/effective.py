"""Every setting as it applies, and where it comes from."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec
from msgspec import Struct

from agent.config.lines import Key
from agent.config.reading import Configuration
from agent.core.redaction import shown_url

Plain = str | bool | int | float | tuple[str, ...]


class Origin(StrEnum):
    FILE = "file"
    DEFAULT = "default"
    HOST = "host"
    """The host's name, for a device without an id."""
    CREDENTIAL = "credential"
    """The service manager handed it over."""
    MAIN = "main"
    """A pipeline's section that is not given is the device's own."""


class Effective(Struct, frozen=True, kw_only=True):
    """One setting; `line` is 0 where it does not stand in the file."""

    key: str
    value: Plain
    origin: Origin
    line: int = 0


def effective(configuration: Configuration) -> tuple[Effective, ...]:
    """All settings in the order of the sections; passwords inside addresses are left out."""
    return tuple(_walk(configuration.settings, (), configuration))


def _walk(section: Struct, above: Key, configuration: Configuration) -> Iterator[Effective]:
    for name in section.__struct_fields__:
        value = getattr(section, name)
        key = (*above, name)
        if isinstance(value, Struct):
            yield from _walk(value, key, configuration)
        elif key == ("pipeline",):
            for pipeline, further in value.items():
                yield from _walk(further, (*key, pipeline), configuration)
        elif value is None:
            yield Effective(key=".".join(key), value=f"as in [{name}]", origin=Origin.MAIN)
        else:
            yield _setting(key, value, configuration)


def _setting(key: Key, value: object, configuration: Configuration) -> Effective:
    plain: Plain = msgspec.convert(msgspec.to_builtins(value), Plain)
    if key[-1] == "url":
        plain = shown_url(str(plain))
    line = configuration.lines.get(key, 0)
    return Effective(key=".".join(key), value=plain, origin=_origin(key, plain, line), line=line)


def _origin(key: Key, value: Plain, line: int) -> Origin:
    if line:
        return Origin.FILE
    if key == ("device", "id"):
        return Origin.HOST
    if key in {("broker", "password_file"), ("web", "password_file")} and value:
        return Origin.CREDENTIAL
    return Origin.DEFAULT
