"""A real Home Assistant, headless, on loopback: started, set up and asked over its own HTTP interface."""

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from websockets.sync.client import connect

from tests.mosquittos import free_port

PYTHON: Final = os.environ.get("SHOAL_HOMEASSISTANT", "")
"""Of the environment that `make test-homeassistant` makes."""
START_S: Final = 120.0
WAIT_S: Final = 90.0
JSON: Final = "application/json"
_BEGIN: Final = """\
import sys
from homeassistant.__main__ import main
from homeassistant.components.mqtt import binary_sensor, image, sensor, update
sys.exit(main())
"""
"""With its platforms loaded. Otherwise a thread loads each when it is first discovered, and compiles anew
what all of their schemas share, while discoveries are validated by that: on a busy machine an entity now and
then got its availability unread, and stayed unavailable.
"""
_SETTINGS: Final = """\
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
config:
onboarding:
logger:
  default: warning
"""


class Hass:
    """Its folder outlives a restart."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._port, self._token = folder, free_port(), ""
        (folder / "configuration.yaml").write_text(_SETTINGS.format(port=self._port))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-c", _BEGIN, "-c", str(self._folder), "--skip-pip"], stdout=log, stderr=log
            )
        path = "/api/" if self._token else "/api/onboarding"
        self.until(lambda: self._answers(path), START_S)

    def set_up(self, broker_port: int) -> None:
        """The first user, and the MQTT integration, as a person adds it."""
        client = f"http://127.0.0.1:{self._port}/"
        user = {
            "client_id": client, "name": "Tester", "username": "tester", "password": "tester",
            "language": "en",
        }  # fmt: skip
        code = self.ask("/api/onboarding/users", user)["auth_code"]
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": code, "client_id": client})
        self._token = self._ask("/auth/token", form.encode(), "application/x-www-form-urlencoded")[
            "access_token"
        ]
        flow = self.ask("/api/config/config_entries/flow", {"handler": "mqtt"})
        answer = {"broker": "127.0.0.1", "port": broker_port}
        done = self.ask(f"/api/config/config_entries/flow/{flow['flow_id']}", answer)
        assert done["type"] == "create_entry", done

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def entities(self) -> dict[str, dict[str, Any]]:
        """By their ids, those of our device."""
        return {e["entity_id"]: e for e in self.ask("/api/states") if "edge_camera" in e["entity_id"]}

    def entity(self, entity_id: str) -> dict[str, Any] | None:
        with contextlib.suppress(urllib.error.HTTPError):
            found: dict[str, Any] = self.ask(f"/api/states/{entity_id}")
            return found
        return None

    def call(self, service: str, **fields: str) -> None:
        self.ask(f"/api/services/{service}", fields)

    def command(self, kind: str, **fields: object) -> Any:
        """What only its frontend's socket can."""
        with connect(f"ws://127.0.0.1:{self._port}/api/websocket") as socket:
            for said in ({"type": "auth", "access_token": self._token}, {"id": 1, "type": kind, **fields}):
                socket.recv(WAIT_S)
                socket.send(json.dumps(said))
            answer = json.loads(socket.recv(WAIT_S))
        assert answer["success"], answer
        return answer["result"]

    def registered(self) -> dict[str, dict[str, Any]]:
        """The entities of MQTT by their unique ids, with what a person changed of them."""
        found = self.command("config/entity_registry/list")
        return {each["unique_id"]: each for each in found if each["platform"] == "mqtt"}

    def delete(self, identifier: str) -> None:
        """As the Delete button on a device's card."""
        (device,) = [
            each
            for each in self.command("config/device_registry/list")
            if ["mqtt", identifier] in each["identifiers"]
        ]
        (entry,) = device["config_entries"]
        self.command(
            "config/device_registry/remove_config_entry", device_id=device["id"], config_entry_id=entry
        )

    def picture(self, entity_id: str) -> bytes:
        found = self.entity(entity_id)
        assert found is not None
        with urllib.request.urlopen(self._url(found["attributes"]["entity_picture"]), timeout=10) as answer:
            content: bytes = answer.read()
            return content

    @property
    def complaints(self) -> list[str]:
        """Of its log, what speaks of MQTT or of our templates."""
        lines = (self._folder / "home-assistant.log").read_text().splitlines()
        said = [line for line in lines if " WARNING " in line or " ERROR " in line]
        return [line for line in said if "mqtt" in line.lower() or "template" in line.lower()]

    def until(self, holds: Callable[[], object], within_s: float = WAIT_S) -> None:
        ends = time.monotonic() + within_s
        while not holds():
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "output.log").read_text()[-3000:]
            assert time.monotonic() < ends, f"not within {within_s:g} s: {self.complaints[-5:]}"
            time.sleep(0.2)

    def render(self, template: str) -> str:
        return self._said("/api/template", json.dumps({"template": template}).encode(), JSON).decode()

    def ask(self, path: str, body: object = None) -> Any:
        return self._ask(path, None if body is None else json.dumps(body).encode(), JSON)

    def _ask(self, path: str, content: bytes | None, kind: str) -> Any:
        return json.loads(self._said(path, content, kind))

    def _said(self, path: str, content: bytes | None, kind: str) -> bytes:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {self._token}"} if self._token else {})
        request = urllib.request.Request(self._url(path), content, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            said: bytes = answer.read()
            return said

    def _answers(self, path: str) -> bool:
        try:
            self.ask(path)
        except (OSError, urllib.error.HTTPError):
            return False
        return True

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"
