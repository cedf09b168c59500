"""The fleet's page over a real broker, beside a real controller: what people order there happens."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from agent.adapters.clock_system import SystemClock
from agent.core.page.access import Role
from agent.wire import topics
from agent.wire.topics import DeviceId
from deploy.adapters import workspace as workspaces
from deploy.adapters.workspace import Web, write_settings
from deploy.assemble.controller import rollouts
from deploy.assemble.controller.rollouts import Wanted
from deploy.core.rollouts.words import Policy
from tests.brokers import PlainMosquitto
from tests.fakes import paged
from tests.fakes.controlled import Controlled
from tests.fakes.paged import WITHIN_S, Program, Visitor

DEVICES = 6


@dataclass(slots=True)
class Fleet:
    controlled: Controlled
    broker: PlainMosquitto
    key: Ed25519PrivateKey

    @property
    def folder(self) -> str:
        return str(self.controlled.workspace.folder)

    @contextlib.contextmanager
    def controller(self) -> Iterator[Program]:
        log = self.controlled.folder / "serve.log"
        with paged.running(log, "serve", "--no-page", "--workspace", self.folder) as program:
            program.heard("serving home from")
            yield program

    def stabilize(self) -> None:
        """Everybody runs release 1, and has something to go back to."""
        every = Wanted(release="cats@1", stream="main", waves=("100%",), match=(), policy=Policy())
        with self.controlled.desk() as desk:
            name = rollouts.begin(desk, every).rollout.name
            self.controlled.puppets.follow(self.controlled.plan())
            ends = time.monotonic() + WITHIN_S
            while desk.fleet().rollouts[name].outcome is None:
                assert time.monotonic() < ends
                self.controlled.turn(desk)

    def obey(self, serial: int) -> None:
        """Every device does what the signed plan wants, once the controller has signed one so new."""
        ends = time.monotonic() + WITHIN_S
        while (plan := self.controlled.repository().plan("main")) is None or plan.serial < serial:
            assert time.monotonic() < ends, plan
            time.sleep(0.05)
        self.controlled.puppets.follow(plan)

    def sign(self, content: str) -> dict[str, str]:
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"key": public.hex(), "signature": self.key.sign(content.encode()).hex()}


@pytest.fixture
def fleet(tmp_path):
    with PlainMosquitto(tmp_path) as broker:
        controlled = Controlled(tmp_path, clock=SystemClock(), root=topics.root("shoal/page"), url=broker.url)
        made = Fleet(controlled, broker, Ed25519PrivateKey.generate())
        write_settings(controlled.workspace)
        listed = made.sign("")["key"]
        file = controlled.workspace.folder / workspaces.FILE
        file.write_text(
            f'{file.read_text(encoding="utf-8")}\n[approval]\nkeys = ["{listed}"]\n', encoding="utf-8"
        )
        paged.with_users(controlled.workspace, olga=Role.OPERATOR, vera=Role.VIEWER, ava=Role.APPROVER)
        controlled.puppets.appear([DeviceId(f"pi-{number}") for number in range(DEVICES)])
        with controlled.desk() as desk:
            desk.assert_stands()
        yield made
        controlled.puppets.link.close()


def signed_in(url, name):
    visitor = Visitor(url)
    assert visitor.sign_in(name).status == 200
    return visitor


def test_a_rollout_is_begun_signed_for_watched_and_taken_back_from_the_page(fleet):
    fleet.stabilize()
    with fleet.controller() as controller, paged.page(fleet.controlled.workspace) as page:
        olga, vera, ava = (signed_in(page.url, name) for name in ("olga", "vera", "ava"))
        olga.until("/api/fleet", lambda told: told["counts"]["online"] == DEVICES)
        asked = {
            "release": "cats@2",
            "waves": ["1", "100%"],
            "policy": {"approve": ["100%"]},
            "why": "better",
        }

        refused = vera.post("/api/rollouts", asked)
        assert refused.status == 403
        assert refused.json["error"].startswith("vera is a viewer, and it takes an operator to begin")
        assert Visitor(page.url).get("/api/fleet").status == 401

        planned = olga.post("/api/rollouts/plan", asked).json["preview"]
        assert [len(wave["joining"]) for wave in planned["waves"]] == [1, DEVICES - 1]
        with vera.stream() as stream:
            stream.until("broker", lambda told: told["controller"]["runs"])
            begun = olga.post("/api/rollouts", {**asked, "salt": planned["order"]["salt"]})
            assert begun.status == 200, begun.body
            assert begun.json["words"] == "it stands in the ledger, and the controller carries it out"
            assert begun.json["rollout"]["brief"]["by"] == "olga"
            said = stream.until("line", lambda line: line["kind"] == "steered")
            assert (said["by"], said["what"]) == ("olga", "plan 2: wave 1 of 2 (1): better")
            fleet.obey(2)
            stream.until("fleet", lambda told: told["counts"]["standings"].get("healthy") == 1)
        name = begun.json["rollout"]["brief"]["name"]
        there = f"/api/rollouts/{name}"

        waits = olga.until(there, lambda told: told["brief"]["words"].endswith("needs 1 more signature"))
        assert {"approve", "pause", "revert", "abort"} <= {*waits["may"]}
        assert "promote" not in waits["may"]
        signed = {"wave": "100%", **fleet.sign(waits["signing"]["content"])}
        assert olga.post(f"{there}/approve", signed).status == 403
        forged = ava.post(f"{there}/approve", {**signed, "signature": "0" * 128})
        assert (forged.status, "is not one of key" in forged.json["error"]) == (409, True)
        assert ava.post(f"{there}/approve", signed).status == 200
        fleet.obey(3)
        olga.until(there, lambda told: told["brief"]["state"] == "completed")

        unsure = olga.post(f"{there}/revert", {"why": "dogs"})
        assert (unsure.status, f"type its name: {name}" in unsure.json["error"]) == (409, True)
        assert olga.post(f"{there}/revert", {"why": "dogs", "confirm": name}).status == 200
        fleet.obey(4)
        # Devices may be back before the controller has written down that they are.
        back = olga.until(
            there, lambda told: (told["brief"]["state"], told["brief"]["back"]) == ("reverted", DEVICES)
        )
        assert (
            back["brief"]["words"]
            == f"taken back: {DEVICES} of {DEVICES} devices serve what was stable (dogs)"
        )
        assert back["history"][0]["by"] == "olga"
        whole = olga.get("/api/audit/verify").json
        assert whole["whole"], whole
        olga.until("/api/audit?limit=2", lambda told: told["before"] == whole["lines"] - 1)

        os.kill(controller.process.pid, signal.SIGKILL)
        controller.process.wait()
        alone = olga.until("/api/fleet", lambda told: not told["controller"]["runs"])
        assert "nobody carries it out until shoal serve runs" in alone["controller"]["words"]
        ordered = olga.post("/api/rollouts", {"release": "cats@2", "waves": ["100%"], "name": "again"})
        assert ordered.json["words"].endswith(alone["controller"]["words"])


def test_a_broker_that_dies_leaves_what_was_known_and_one_that_returns_is_read_anew(fleet):
    with paged.page(fleet.controlled.workspace) as page:
        olga = signed_in(page.url, "olga")
        olga.until("/api/fleet", lambda told: told["counts"]["online"] == DEVICES)
        fleet.broker.kill()
        away = olga.until("/api/fleet", lambda told: not told["broker"]["up"])
        assert away["counts"]["online"] == DEVICES
        assert away["broker"]["since"]
        refused = olga.post("/api/rollouts", {"release": "cats@2", "waves": ["100%"]})
        assert refused.status == 409
        assert refused.json["error"].startswith("the broker is away since ")
        fleet.broker.start()
        olga.until("/api/fleet", lambda told: told["broker"]["up"])


def test_a_page_begins_without_a_broker_and_finds_it_later(fleet):
    fleet.broker.kill()
    with paged.page(fleet.controlled.workspace) as page:
        olga = signed_in(page.url, "olga")
        before = olga.get("/api/fleet").json
        assert (before["broker"]["up"], before["rows"]) == (False, [])
        fleet.broker.start()
        fleet.controlled.puppets.link.close()
        fleet.controlled.puppets.link = fleet.controlled.link()
        fleet.controlled.puppets.appear([DeviceId("pi-9")])
        olga.until("/api/fleet", lambda told: [row["device"] for row in told["rows"]] == ["pi-9"])


def test_a_page_that_is_killed_is_begun_again_and_the_controller_never_noticed(fleet):
    controlled = fleet.controlled
    web = replace(controlled.workspace.settings, web=Web(listen="127.0.0.1:0"))
    file = controlled.workspace.folder / workspaces.FILE
    file.write_text(
        f'{file.read_text(encoding="utf-8")}\n[web]\nlisten = "{web.web.listen}"\n', encoding="utf-8"
    )
    with paged.running(controlled.folder / "serve.log", "serve", "--workspace", fleet.folder) as serving:
        first = serving.url
        assert signed_in(first, "vera").get("/api/me").json["role"] == "viewer"
        (child,) = children(serving.process.pid)
        os.kill(child, signal.SIGKILL)
        ends = time.monotonic() + WITHIN_S
        while serving.log.read_text(encoding="utf-8").count(paged.AT) < 2:
            assert time.monotonic() < ends
            time.sleep(0.05)
        assert serving.process.poll() is None
        (heir,) = children(serving.process.pid)
        assert heir != child
        os.kill(serving.process.pid, signal.SIGKILL)
        serving.process.wait()
        while Path(f"/proc/{heir}").exists():
            assert time.monotonic() < ends, "the page outlived its controller"
            time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Begun by whichever of its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text(encoding="ascii").split()]
