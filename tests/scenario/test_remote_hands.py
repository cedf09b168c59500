"""`shoal command` against `shoal-agent run` over a real broker."""

import io
import json
import secrets
import time
from datetime import timedelta

import pytest
from PIL import Image

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import Outgoing
from agent.wire import codec
from agent.wire.commands import Answer, Command, Frame, Log, Pause, Refusal
from agent.wire.topics import ANSWER, COMMAND, Qos
from tests import rig
from tests.brokers import Inbox

PATTERN = 'kind = "pattern"\nrate_fps = 10.0\nwidth_px = 800\nheight_px = 600\n'


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, any_broker):
    made = rig.fleet(tmp_path_factory.mktemp("fleet"), any_broker.url)
    made.release(rig.SHIPPED, "1", "--labels", str(rig.LABELS))
    made.roll_out("1")
    return made


@pytest.fixture(scope="module")
def agent(tmp_path_factory, fleet):
    more = (
        '[commands]\nper_minute = 100\n[pipeline.door]\nstream = "other"\n[pipeline.door.camera]\n' + PATTERN
    )
    folder = tmp_path_factory.mktemp("device")
    with rig.listening(fleet) as ear, rig.Agent(folder, fleet, camera=PATTERN, more=more) as running:
        running.ear = ear
        ear.wait(lambda heard: bool(heard.predictions))
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


def ask(fleet, *words, check=True):
    return rig.shoal("command", rig.DEVICE, *words, "--workspace", str(fleet.workspace.folder), check=check)


@pytest.mark.usefixtures("agent")
def test_the_newest_frame_of_a_pipeline_comes_as_a_small_picture(fleet, tmp_path):
    said = ask(fleet, "frame", "--side-px", "320", "--out", str(tmp_path / "a.jpg"))
    assert "320 x 240" in said.stdout
    with Image.open(tmp_path / "a.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (320, 240))


@pytest.mark.usefixtures("agent")
def test_a_pipeline_without_a_model_shows_its_camera_too(fleet, tmp_path):
    ask(fleet, "frame", "--pipeline", "door", "--out", str(tmp_path / "b.jpg"))
    assert Image.open(io.BytesIO((tmp_path / "b.jpg").read_bytes())).size == (640, 480)


@pytest.mark.usefixtures("agent")
def test_the_newest_log_lines_come(fleet):
    said = json.loads(ask(fleet, "log", "--lines", "5", "--json").stdout)
    lines = said["answer"]["result"]["lines"]
    assert len(lines) == 5
    assert "command.accepted" in lines[-1]


def test_a_paused_pipeline_predicts_nothing_until_it_resumes(fleet, agent):
    ask(fleet, "pause")
    agent.ear.wait(lambda heard: heard.report is not None and heard.report.paused)
    before = len(agent.ear.heard.predictions)
    table = rig.shoal("devices", "--workspace", str(fleet.workspace.folder)).stdout
    assert "paused" in table
    assert len(agent.ear.heard.predictions) <= before + 1
    ask(fleet, "resume")
    agent.ear.wait(lambda heard: len(heard.predictions) > before + 3)
    assert not agent.ear.heard.report.paused


@pytest.mark.usefixtures("agent")
def test_one_sentence_says_why_there_is_no_answer(fleet):
    said = rig.shoal(
        "command", "nobody", "log", "--wait", "0.5", "--workspace", str(fleet.workspace.folder), check=False
    )
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1
    assert "no device of this id has ever reported here" in said.stderr


@pytest.mark.usefixtures("agent")
def test_a_pipeline_that_is_not_there_is_refused_with_those_that_are(fleet):
    said = ask(fleet, "pause", "--pipeline", "window", check=False)
    assert said.returncode == 1
    assert "window; there are door, main" in said.stderr


@pytest.fixture
def wire(fleet):
    """Sends envelopes as anybody could, and hears the answers."""
    host, port = fleet.url.removeprefix("mqtt://").rsplit(":", 1)
    link = MqttLink(LinkSettings(host, int(port), f"anybody-{time.monotonic_ns()}"))
    up, heard = Inbox(), Inbox()
    link.open(up)
    up.wait_for(1)
    link.subscribe([fleet.root.device(ANSWER, rig.DEVICE)], Qos.AT_LEAST_ONCE, heard)

    def send(envelope: bytes) -> None:
        link.publish(
            Outgoing(fleet.root.device(COMMAND, rig.DEVICE), envelope, COMMAND.qos, retain=False)
        ).result(5)

    yield send, lambda count: [codec.decode(m.payload, Answer) for m in heard.wait_for(count)]
    link.close()


def command(action, *, issued_s=0.0, life_s=60.0, device=rig.DEVICE):
    issued = SystemClock().now() + timedelta(seconds=issued_s)
    return Command(
        id=secrets.token_hex(16),
        device=device,
        issued_at=issued,
        expires_at=issued + timedelta(seconds=life_s),
        action=action,
    )


@pytest.mark.usefixtures("agent")
def test_replayed_expired_future_and_foreign_commands_are_refused(fleet, wire):
    send, answers = wire
    sign = fleet.repository().sign_command
    once = sign(codec.encode(command(Log(lines=1))))
    send(once)
    answers(1)
    send(once)
    answers(2)
    for wrong in (
        command(Log(), issued_s=-120),
        command(Log(), issued_s=120),
        command(Pause(), device="another"),
        command(Pause(), life_s=3600),
    ):
        send(sign(codec.encode(wrong)))
    assert [answer.refused for answer in answers(6)] == [
        None,
        Refusal.REPLAYED,
        Refusal.EXPIRED,
        Refusal.FROM_THE_FUTURE,
        Refusal.OTHER_DEVICE,
        Refusal.TOO_LONG,
    ]


@pytest.mark.usefixtures("agent")
def test_what_nobody_signed_gets_no_answer(fleet, wire, tmp_path_factory):
    send, answers = wire
    sign = fleet.repository().sign_command
    stranger = rig.fleet(tmp_path_factory.mktemp("stranger"), fleet.url).repository()
    honest = codec.encode(command(Log(lines=1)))
    for content in (
        b"",
        b"{}",
        b"\xff" * 5_000,
        honest,
        stranger.sign_command(codec.encode(command(Frame()))),
        sign(honest).replace(b'"sig":"', b'"sig":"AAAA'),
        sign(honest).replace(b"shoal.command", b"shoal.manifest"),
    ):
        send(content)
    send(sign(honest))
    (only,) = answers(1)
    assert only.refused is None


def test_a_replay_is_refused_after_a_restart_too(fleet, agent, wire):
    send, answers = wire
    content = fleet.repository().sign_command(codec.encode(command(Log(lines=1))))
    send(content)
    answers(1)
    agent.kill()
    seen = len(agent.ear.heard.predictions)
    agent.start()
    agent.ear.wait(lambda heard: len(heard.predictions) > seen + 2)
    send(content)
    assert [answer.refused for answer in answers(2)] == [None, Refusal.REPLAYED]


@pytest.mark.usefixtures("agent")
def test_the_machine_is_examined_from_afar(fleet):
    said = json.loads(ask(fleet, "check", "--json").stdout)
    result = said["answer"]["result"]
    found = {finding["name"]: finding["severity"] for finding in result["findings"]}
    assert result["status"] in {0, 78}
    assert found
    assert set(found.values()) <= {"ok", "note", "degraded", "fatal"}


@pytest.mark.usefixtures("agent")
def test_accelerators_are_looked_for_anew(fleet):
    assert ask(fleet, "look").stdout.startswith(f"{rig.DEVICE} computes on ")
