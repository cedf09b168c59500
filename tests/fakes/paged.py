"""A fleet's page as a program of its own, over a real broker, and a browser that is none."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.core.page.access import Role
from deploy.adapters import users_file
from deploy.adapters.users_file import User, Users
from deploy.adapters.workspace import Workspace
from deploy.page import people

WITHIN_S = 60.0
PASSWORD = "correct horse battery"
AT = "the page is at "


def shoal(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "deploy", *words]


@dataclass(slots=True)
class Program:
    """One that says on stderr what becomes of it."""

    process: "subprocess.Popen[str]"
    log: Path

    def heard(self, words: str, within_s: float = WITHIN_S) -> str:
        """The first line in which it says so."""
        ends = time.monotonic() + within_s
        while time.monotonic() < ends:
            for line in self.log.read_text(encoding="utf-8").splitlines():
                if words in line:
                    return line
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            time.sleep(0.05)
        raise AssertionError(f"{words!r} was not said: {self.log.read_text(encoding='utf-8')}")

    @property
    def url(self) -> str:
        return self.heard(AT).partition(AT)[2].strip()


@contextlib.contextmanager
def running(log: Path, *words: str) -> Iterator[Program]:
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(shoal(*words), stderr=said, stdout=said, text=True, env=_environment())
    try:
        yield Program(process, log)
    finally:
        process.terminate()
        try:
            process.wait(WITHIN_S)
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def page(workspace: Workspace, *options: str) -> Iterator[Program]:
    """The page alone, on a free port of loopback."""
    words = ("page", "--workspace", str(workspace.folder), "--listen", "127.0.0.1:0", *options)
    with running(workspace.folder.parent / "page.log", *words) as program:
        yield program


def _environment() -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}


def with_users(workspace: Workspace, **roles: Role) -> None:
    """All with PASSWORD."""
    kept = people.stored(PASSWORD)
    users = Users()
    for name, role in roles.items():
        users = users.having(User(name=name, role=role, password=kept))
    users_file.write(workspace.users, users)


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Visitor:
    """Keeps a cookie."""

    url: str
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, document: object) -> Answer:
        body = json.dumps(document).encode()
        return self._ask("POST", path, body, {"Content-Type": "application/json"})

    def sign_in(self, name: str, password: str = PASSWORD) -> Answer:
        answer = self.post("/api/sign-in", {"name": name, "password": password})
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer

    def until(self, path: str, holds: Any, within_s: float = WITHIN_S) -> Any:
        """The document at this address, once this holds of it."""
        ends = time.monotonic() + within_s
        while True:
            found = self.get(path)
            if found.status == 200 and holds(found.json):
                return found.json
            assert time.monotonic() < ends, found.body[:2000]
            time.sleep(0.1)

    @contextlib.contextmanager
    def stream(self) -> Iterator["Stream"]:
        connection = self._connection()
        try:
            connection.request("GET", "/api/stream", headers=self._headers({}))
            yield Stream(connection.getresponse())
        finally:
            connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = self._connection()
        try:
            connection.request(method, path, body, self._headers(headers))
            answer = connection.getresponse()
            said = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, said, answer.read())
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        place = urlsplit(self.url)
        assert place.hostname is not None
        return http.client.HTTPConnection(place.hostname, place.port, timeout=WITHIN_S)

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {**self.headers, **({"Cookie": self.cookie} if self.cookie else {}), **more}


@dataclass(slots=True)
class Stream:
    answer: http.client.HTTPResponse

    def until(self, name: str, holds: Any = lambda _: True) -> Any:
        """The document of the next event of this name of which this holds."""
        kind = ""
        while line := self.answer.readline().decode().strip("\r\n") or "\n":
            if line.startswith("event:"):
                kind = line.removeprefix("event:").strip()
            elif line.startswith("data:") and kind == name:
                document = json.loads(line.removeprefix("data:"))
                if holds(document):
                    return document
            elif self.answer.isclosed():
                break
        raise AssertionError(f"the stream ended without {name}")
