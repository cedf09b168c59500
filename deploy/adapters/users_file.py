"""The people of a fleet's page: `users.json` in the workspace, readable by its owner only."""

import stat
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from agent.core.page.access import Role
from agent.wire.errors import ConfigError
from deploy.adapters.secret_files import read_secret, write_secret

SCHEMA: Final = 1

Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")]


class User(Struct, frozen=True, kw_only=True):
    name: Name
    role: Role
    password: str
    """As `stored` made it, never itself."""
    token: str = ""
    """sha256 of what a program shows, in hexadecimal digits; empty: it has none."""


class Users(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: int = SCHEMA
    users: tuple[User, ...] = ()

    def named(self, name: str) -> User | None:
        return next((each for each in self.users if each.name == name), None)

    def having(self, user: User) -> "Users":
        """With this one in the place of whoever had the name, sorted by name."""
        kept = {each.name: each for each in self.users} | {user.name: user}
        return Users(users=tuple(kept[name] for name in sorted(kept)))

    def without(self, name: str) -> "Users":
        return Users(users=tuple(each for each in self.users if each.name != name))


def read(path: Path) -> Users:
    """Nobody, where there is no file.

    Raises:
        ConfigError: it is damaged, or others may read it.
        StoreFailed: it cannot be read.
    """
    content = read_secret(path)
    if content is None:
        return Users()
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} may be read by others: chmod 600 {path}")
    try:
        found = msgspec.json.decode(content, type=Users)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"{path} is damaged ({error}): put a copy of it back, or name the users anew"
        ) from error
    if found.schema != SCHEMA:
        raise ConfigError(f"{path} is of schema {found.schema}, and this program reads {SCHEMA}")
    return found


def write(path: Path, users: Users) -> None:
    """
    Raises:
        StoreFailed: the disk refused.
    """
    write_secret(path, msgspec.json.format(msgspec.json.encode(users), indent=1) + b"\n")
