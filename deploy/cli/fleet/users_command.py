"""`shoal users`: who may look at the fleet's page, and who may order there."""

import getpass
import secrets
import sys
from argparse import ArgumentParser, Namespace
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agent.core.page.access import Role
from agent.wire.errors import ConfigError
from deploy.adapters import users_file
from deploy.adapters.users_file import Name, User, Users
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import workspaces
from deploy.cli import command, output
from deploy.cli.command import Command, Group
from deploy.core.page import roles
from deploy.core.refusal import Refused
from deploy.page import people

PASSWORD_MIN: Final = 8
TOKEN_BYTES: Final = 32


class Answer(Struct, frozen=True, kw_only=True):
    name: str
    role: Role
    token: bool
    """A program may sign in as this user."""


def _add_name(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "name", metavar="NAME", help="of the user; it stands in the ledger beside every order"
    )
    command.add_json(parser)


def _add_password(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="its first line is the password (default: it is asked for on the terminal)",
    )


def _add_add(parser: ArgumentParser) -> None:
    _add_name(parser)
    parser.add_argument(
        "--role",
        choices=command.names(Role),
        default=Role.VIEWER.value,
        help="viewer: looks; operator: also begins and steers rollouts; approver: also signs for waves that "
        "others began (default: viewer)",
    )
    _add_password(parser)


def _add_role(parser: ArgumentParser) -> None:
    _add_name(parser)
    parser.add_argument("role", choices=command.names(Role), help="the new one; it counts at once")


def _add_password_of(parser: ArgumentParser) -> None:
    _add_name(parser)
    _add_password(parser)


def _add_list(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_json(parser)


def _run_add(options: Namespace) -> int:
    workspace, users = _read(options)
    if users.named(options.name) is not None:
        raise Refused(f"there is a user {options.name} already: shoal users role or password changes it")
    made = User(name=_name(options.name), role=Role(options.role), password=people.stored(_password(options)))
    _write(workspace, users.having(made))
    return _tell(made, options, f"{made.name} is {roles.a(made.role)}")


def _run_list(options: Namespace) -> int:
    _, users = _read(options)
    if options.json:
        output.say_json([_answer(each) for each in users.users])
        return 0
    if not users.users:
        output.note("nobody may order anything on the page: shoal users add NAME --role operator")
        return 0
    rows = [(each.name, str(each.role), "yes" if each.token else "no") for each in users.users]
    output.say(output.Table(("NAME", "ROLE", "TOKEN"), rows))
    return 0


def _run_remove(options: Namespace) -> int:
    workspace, users = _read(options)
    gone = _known(users, options.name)
    _write(workspace, users.without(gone.name))
    return _tell(gone, options, f"{gone.name} is no user any more, wherever signed in")


def _run_role(options: Namespace) -> int:
    workspace, users = _read(options)
    changed = replace(_known(users, options.name), role=Role(options.role))
    _write(workspace, users.having(changed))
    return _tell(changed, options, f"{changed.name} is {roles.a(changed.role)}")


def _run_password(options: Namespace) -> int:
    workspace, users = _read(options)
    user = _known(users, options.name)
    _write(workspace, users.having(replace(user, password=people.stored(_password(options)))))
    said = f"{user.name} has a new password, and has to sign in anew everywhere; a token stays as it was"
    return _tell(user, options, said)


def _run_token(options: Namespace) -> int:
    workspace, users = _read(options)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    changed = replace(_known(users, options.name), token=sha256(token.encode()).hexdigest())
    _write(workspace, users.having(changed))
    if options.json:
        output.say_json({"name": changed.name, "token": token})
        return 0
    output.say(token)
    output.note("it is shown once, and replaces the one before: send it as Authorization: Bearer TOKEN")
    return 0


def _tell(user: User, options: Namespace, words: str) -> int:
    if options.json:
        output.say_json(_answer(user))
    else:
        output.say(words)
    return 0


def _answer(user: User) -> Answer:
    return Answer(name=user.name, role=user.role, token=bool(user.token))


def _read(options: Namespace) -> tuple[Workspace, Users]:
    workspace = workspaces.find(options.workspace)
    return workspace, users_file.read(workspace.users)


def _write(workspace: Workspace, users: Users) -> None:
    users_file.write(workspace.users, users)


def _known(users: Users, name: str) -> User:
    found = users.named(name)
    if found is None:
        there = ", ".join(each.name for each in users.users) or "nobody yet"
        raise Refused(f"there is no user {name}: there is {there}")
    return found


def _name(text: str) -> str:
    try:
        return msgspec.convert(text, Name)
    except msgspec.ValidationError as error:
        raise Refused(
            f"{text!r} is no name of a user: it has 1 to 64 letters, digits, dots, dashes, underscores or @, "
            "the first one a letter or a digit"
        ) from error


def _password(options: Namespace) -> str:
    """
    Raises:
        ConfigError: the file cannot be read, or nobody is there to be asked.
        Refused: it is too short, or was typed in two ways.
    """
    given = _from_file(options.password_file) if options.password_file else _typed(options.name)
    if len(given) < PASSWORD_MIN:
        raise Refused(f"a password of {len(given)} letters is too short: {PASSWORD_MIN} at least")
    return given


def _from_file(path: Path) -> str:
    try:
        first, _, _ = path.read_text(encoding="utf-8").partition("\n")
    except OSError as error:
        raise ConfigError(f"--password-file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--password-file {path} is no text in UTF-8") from error
    return first.rstrip("\r")


def _typed(name: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError("nobody is there to type a password: give it with --password-file FILE")
    given = getpass.getpass(f"password of {name}: ")
    if given != getpass.getpass("again: "):
        raise Refused("the two are not the same: nothing was changed")
    return given


ADD = """\
examples:
  shoal users add olga --role operator                       asks for the password
  shoal users add ava --role approver --password-file ava.txt
"""
LIST = "examples:\n  shoal users list --json\n"
REMOVE = "examples:\n  shoal users remove olga\n"
ROLE = "examples:\n  shoal users role olga approver\n"
PASSWORD = "examples:\n  shoal users password olga\n"  # noqa: S105 - a command
TOKEN = "examples:\n  shoal users token prometheus               for /metrics, say\n"  # noqa: S105 - a command

GROUP = Group(
    "users",
    "say who may look at the fleet's page, and who may order there",
    (
        Command("add", "give somebody a name, a role and a password", _add_add, _run_add, ADD),
        Command("list", "show who has a name", _add_list, _run_list, LIST),
        Command("remove", "take a name away; it ends every session of it", _add_name, _run_remove, REMOVE),
        Command("role", "give somebody another role", _add_role, _run_role, ROLE),
        Command(
            "password",
            "give somebody another password; it ends every session of it",
            _add_password_of,
            _run_password,
            PASSWORD,
        ),
        Command(
            "token", "make what a program shows in the place of a password", _add_name, _run_token, TOKEN
        ),
    ),
)
