"""The operator's day, typed: every command is a process, the broker is real, the devices are scripted."""

import contextlib
import json
import queue
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.adapters.packing_zstd import Zstandard
from agent.adapters.trust_tuf import TufTrust
from agent.core.update import cohort
from agent.ports.link import Outgoing
from agent.wire import codec, topics
from agent.wire.documents import Manifest
from agent.wire.reports import Capabilities, Phase, Presence, Report, Running, Status
from agent.wire.topics import CHUNK, REPORT, STATUS, DeviceId, Qos
from tests import models

CHECKOUT = Path(__file__).parents[2]
LITE0 = CHECKOUT / "models" / "efficientnet_lite0"
PHOTOGRAPHS = CHECKOUT / "models" / "photographs"
TINY = "mobilenet_v1_0.25_128_quant.tflite"
TINY_TPU = "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
FIVE = tuple(DeviceId(f"cam-{number}") for number in range(5))
PATIENCE_S = 20.0


class Workspace:
    def __init__(self, folder, broker):
        self.folder, self._broker = folder, broker
        self.root = topics.root(f"shoal/{folder.parent.name}")
        self.run("init", str(folder), "--broker", broker.url, "--root", self.root.prefix, cwd=folder.parent)

    def run(self, *arguments, code=0, cwd=None):
        done = subprocess.run(
            [sys.executable, "-m", "deploy", *arguments],
            cwd=cwd or self.folder,
            env={"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    def answer(self, *arguments):
        return json.loads(self.run(*arguments, "--json"))

    def release(self, version, *more, name="tiny"):
        return self.answer("release", str(models.shared(TINY)), "--name", name, "--version", version, *more)

    @contextlib.contextmanager
    def link(self):
        states = queue.Queue()
        made = MqttLink(LinkSettings(self._broker.host, self._broker.port, f"test-{self.folder.parent.name}"))
        made.open(states.put)
        try:
            states.get(timeout=PATIENCE_S)
            yield made
        finally:
            made.close()

    def plan(self, folder):
        """The plan as a device that has just been set up reads it."""
        with self.link() as link:
            pinned = (self.folder / "root.json").read_bytes()
            trust = TufTrust(link, self.root, folder, pinned, SystemClock(), PATIENCE_S)
            trust.refresh()
            plan = trust.plan("main")
            for ref in (plan.stable, plan.candidate):
                if ref is not None:
                    assert trust.manifest(ref)[0].version == ref.version
            return plan


@pytest.fixture
def workspace(tmp_path, any_broker):
    return Workspace(tmp_path / "fleet", any_broker)


def announce(link, root, device, manifest="a" * 64):
    report = Report(
        device=device,
        at=datetime(2026, 6, 1, tzinfo=UTC),
        phase=Phase.IDLE,
        active=Running(name="tiny", version="1", manifest=manifest, digest="b" * 64, delegate="xnnpack"),
        capabilities=Capabilities(hardware="cpu"),
        plan_serial=1,
    )
    status = Status(state=Presence.ONLINE, session="s")
    for channel, document in ((STATUS, status), (REPORT, report)):
        payload = codec.encode(document)
        link.publish(Outgoing(root.device(channel, device), payload, channel.qos, channel.retain)).result(
            PATIENCE_S
        )


def retained(link, topic):
    inbox = queue.Queue()
    link.subscribe([topic], Qos.AT_LEAST_ONCE, inbox.put)
    try:
        return inbox.get(timeout=PATIENCE_S).payload
    finally:
        link.unsubscribe([topic])


def test_a_release_goes_out_in_waves_and_comes_back(workspace, tmp_path):
    workspace.release("1", "--golden", str(PHOTOGRAPHS))
    assert "tiny@1 in waves all" in workspace.run("rollout", "start", "tiny", "--waves", "all")
    first = workspace.plan(tmp_path / "first").candidate
    workspace.release("2")
    with workspace.link() as link:
        for device in FIVE:
            announce(link, workspace.root, device, first.manifest)

    ahead = workspace.answer("rollout", "plan", "tiny", "--waves", "20%,60%")
    begin = ("rollout", "start", "tiny", "--waves", "20%,60%", "--salt", ahead["order"]["salt"])
    narrow = workspace.answer(*begin)
    assert (len(narrow["devices"]), narrow["known"]) == (1, 5)
    assert narrow["devices"] == [each["device"] for each in ahead["waves"][0]["joining"]]
    plan = workspace.plan(tmp_path / "a")
    assert (plan.serial, plan.stable.version, plan.candidate.version) == (2, "1", "2")
    inside = [device for device in FIVE if cohort.belongs(plan.cut, "cpu", plan.salt, device)]
    assert inside == narrow["devices"]

    assert "has not ended" in workspace.run(*begin, code=1)
    assert "--force WHY" in workspace.run("rollout", "promote", code=1)
    assert "at wave 60%" in workspace.run("rollout", "promote", "--force", "it is a drill")
    plan = workspace.plan(tmp_path / "b")
    wide = [device for device in FIVE if cohort.belongs(plan.cut, "cpu", plan.salt, device)]
    joined = {each["device"] for wave in ahead["waves"] for each in wave["joining"]}
    assert (len(wide), set(wide)) == (3, joined)

    assert "goes back to tiny@1" in workspace.run("rollout", "abort", "--why", "enough")
    plan = workspace.plan(tmp_path / "c")
    assert (plan.serial, plan.stable.version, plan.candidate) == (4, "1", None)
    assert "was revoked" in workspace.run("rollout", "start", "tiny@2", "--waves", "all", code=1)
    assert "taken back and revoked: enough" in workspace.run("rollout", "status")


def test_a_second_person_signs_for_the_wave_that_the_policy_names(workspace, tmp_path):
    workspace.release("1")
    with workspace.link() as link:
        for device in FIVE:
            announce(link, workspace.root, device)
    key = workspace.run("approver", str(tmp_path / "bob.pem")).splitlines()[0]
    settings = workspace.folder / "shoal.toml"
    settings.write_text(f'{settings.read_text()}\n[approval]\nkeys = ["{key}"]\n')
    (tmp_path / "policy.toml").write_text('approve = ["100%"]\n')
    policy = ("--policy", str(tmp_path / "policy.toml"))
    workspace.run("rollout", "start", "tiny", "--waves", "1,100%", *policy)
    assert "needs 1 more signature" in workspace.run("rollout", "promote", "--force", "now", code=1)
    workspace.run("rollout", "approve", "tiny-1", "--wave", "100%", "--key", str(tmp_path / "bob.pem"))
    assert "at wave 100%" in workspace.run("rollout", "promote", "--force", "now")


def test_a_pair_of_variants_is_published_chunk_by_chunk(workspace):
    answer = workspace.answer(
        "release", str(models.shared(TINY_TPU)), str(models.shared(TINY)), "--name", "tiny", "--version", "1"
    )
    assert set(answer["variants"]) == {"cpu", "edgetpu"}
    with workspace.link() as link:
        manifest = codec.decode(retained(link, workspace.root.target(answer["manifest"])), Manifest)
        pieces = [
            unpacked(chunk, retained(link, workspace.root.chunk(chunk.published)))
            for variant in manifest.variants
            for chunk in variant.artifact.chunks
        ]
    assert b"".join(pieces) == models.shared(TINY).read_bytes() + models.shared(TINY_TPU).read_bytes()


def unpacked(chunk, content):
    return content if chunk.packed is None else Zstandard().unpack(content, chunk.length)


def test_the_shipped_model_is_released_with_its_labels(workspace):
    said = workspace.run(
        "release",
        str(LITE0 / "efficientnet_lite0_224_uint8.tflite"),
        "--labels",
        str(LITE0 / "labels.txt"),
        "--golden",
        str(PHOTOGRAPHS),
        "--name=lite0",
        "--version=1.0.0",
        "--no-publish",
    )
    assert said.startswith(
        "lite0@1.0.0 is released, not published: cpu, 5,249,328 bytes, 1000 classes, 8 golden"
    )


def test_a_broker_that_lost_its_memory_is_given_everything_again(workspace, tmp_path):
    chunk = workspace.root.chunk
    released = workspace.release("1")
    workspace.run("rollout", "start", "tiny", "--waves", "all")
    with workspace.link() as link:
        manifest = codec.decode(retained(link, workspace.root.target(released["manifest"])), Manifest)
        digest = manifest.variants[0].artifact.chunks[3].published
        lost = [chunk(digest), workspace.root.meta("timestamp"), workspace.root.index()]
        for topic in lost:
            link.publish(Outgoing(topic, b"", CHUNK.qos, retain=True)).result(PATIENCE_S)
        workspace.run("publish")
        assert all(retained(link, topic) for topic in lost)
    workspace.run("sign")
    workspace.run("rotate-keys", "timestamp")
    assert workspace.plan(tmp_path / "a").candidate.version == "1"


def test_devices_are_shown_to_people_and_programs(workspace):
    workspace.run("publish")
    assert "no device has reported here yet" in workspace.run("devices")
    with workspace.link() as link:
        for device in FIVE:
            announce(link, workspace.root, device)
    headings, *rows = workspace.run("devices").splitlines()
    assert headings.split()[:7] == ["DEVICE", "ONLINE", "RUNNING", "ON", "PHASE", "CONDITION", "PLAN"]
    assert [row.split()[:7] for row in rows] == [
        [device, "yes", "tiny@1", "xnnpack", "idle", "ok", "1"] for device in FIVE
    ]
    answer = workspace.answer("devices")
    assert answer["complete"]
    assert [row["device"] for row in answer["devices"]] == list(FIVE)


def test_without_the_offline_key_nothing_is_released_and_with_it_elsewhere_it_is(workspace, tmp_path):
    (workspace.folder / "keys" / "offline").rename(tmp_path / "stick")
    refused = workspace.run(
        "release", str(models.shared(TINY)), "--name=tiny", "--version=1", "--no-publish", code=78
    )
    assert "--offline-keys" in refused or "offline" in refused
    workspace.release("1", "--no-publish", "--offline-keys", str(tmp_path / "stick"))


def test_a_broker_that_is_not_there_is_one_sentence(workspace):
    settings = workspace.folder / "shoal.toml"
    workspace.release("1", "--no-publish")
    settings.write_text(settings.read_text().replace(workspace._broker.url, "mqtt://127.0.0.1:9"))
    complaint = workspace.run("rollout", "start", "tiny", code=1)
    assert complaint.startswith(
        "shoal: the broker mqtt://127.0.0.1:9 cannot be reached: no broker listens on"
    )
    assert complaint.count("\n") == 1
