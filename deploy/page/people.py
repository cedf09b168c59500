"""Whom a fleet's page knows: the users of the workspace, read anew whenever their file changes."""

import hmac
import logging
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from agent.adapters.web import passwords
from agent.adapters.web.not_now import NotNow
from agent.core.page.access import Person
from agent.wire.errors import ConfigError, StoreFailed
from deploy.adapters import users_file
from deploy.adapters.users_file import User, Users

log = logging.getLogger(__name__)

LOOKED_AFTER_S: Final = 0.5
UNREAD: Final = (
    "nobody can be let in, whatever the password, for the file of users cannot be read: shoal users list, "
    "typed on the controller's machine, says why"
)
_NOBODYS: Final = "scrypt$15$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
"""What an unknown name's password is held against, so that it takes as long."""

Mark = tuple[int, int, int]


class People:
    """Implements `agent.adapters.web.gate.Users`. A file that cannot be read lets nobody in.

    Args:
        path: of the users.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._mark: Mark | None = None
        self._looked_s = float("-inf")
        self._users = Users()
        self.fault = ""
        """Why the file cannot be read; else empty."""

    @property
    def any(self) -> bool:
        """Whether anybody has a name here; a file that cannot be read is somebody's."""
        return bool(self._now().users) or bool(self.fault)

    def by_password(self, name: str, password: str) -> Person | None:
        """
        Raises:
            NotNow: whether it is right cannot be told.
        """
        user = self._now().named(name)
        if self.fault:
            raise NotNow(503, UNREAD)
        right = passwords.matches(password, user.password if user else _NOBODYS)
        return _person(user) if user is not None and right else None

    def by_token(self, token: str) -> Person | None:
        digest, found = sha256(token.encode()).hexdigest(), None
        for user in self._now().users:
            if user.token and hmac.compare_digest(user.token, digest):
                found = user
        return None if found is None else _person(found)

    def still(self, person: Person) -> Person | None:
        user = self._now().named(person.name)
        found = None if user is None else _person(user)
        return found if found is not None and found.proof == person.proof else None

    def _now(self) -> Users:
        with self._lock:
            if time.monotonic() - self._looked_s >= LOOKED_AFTER_S:
                self._looked_s = time.monotonic()
                self._look()
            return self._users

    def _look(self) -> None:
        mark = _mark(self._path)
        if mark == self._mark and not self.fault:
            return
        try:
            self._users, self.fault = users_file.read(self._path), ""
        except (ConfigError, StoreFailed) as error:
            if not self.fault:
                log.warning("users.unread", extra={"reason": str(error)})
            self._users, self.fault = Users(), str(error)
        self._mark = mark


def stored(password: str) -> str:
    """As it may stand in the users' file."""
    return passwords.stored(password)


def _person(user: User) -> Person:
    return Person(user.name, user.role, sha256(user.password.encode()).hexdigest())


def _mark(path: Path) -> Mark | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
