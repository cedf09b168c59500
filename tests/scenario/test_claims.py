"""A device from a factory image comes by its identity; real device, real openssl, real Mosquitto."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager

import msgspec
import pytest

from agent import config
from agent.adapters.clock_system import SystemClock
from agent.wire import codec, seal, topics
from agent.wire.claims import ClaimAnswer
from agent.wire.reports import Status
from agent.wire.topics import CLAIM_ANSWER, CLAIM_REQUEST, STATUS, DeviceId, Root
from deploy.adapters.workspace import find
from deploy.assemble import claiming
from deploy.assemble.session import connected
from deploy.cli.main import main
from deploy.core.refusal import Refused
from tests.mosquittos import client, require, secured, until

ROOT = Root("shoal/home")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    require()
    with secured(tmp_path_factory.mktemp("claims")) as made:
        yield made


@pytest.fixture
def image(fleet, tmp_path):
    """A fresh device: the image's files, with a state folder of its own."""
    fleet.shoal("claims", "new", "--devices", "2", "--tag", "hall", "--out", str(tmp_path))
    path = tmp_path / "agent.toml"
    path.write_text(path.read_text().replace("/var/lib/shoal", "state").replace('"auto"', '"pattern"', 1))
    return path


@contextmanager
def started(path):
    with (path.parent / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent", "run", "--config", str(path)], stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _waiting(fleet):
    workspace = find(fleet.folder)
    with connected(workspace) as session:
        return claiming.waiting(workspace, session)


def _asked(fleet, path):
    """The claim of this device, once it lies on the broker."""
    named = path.parent / "state/identity/name"
    until(named.exists)
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        for asked in _waiting(fleet).asked:
            if asked.name == named.read_text():
                return asked
    raise AssertionError((path.parent / "agent.log").read_text())


def test_a_device_claims_is_accepted_and_is_believed_under_its_own_seal(fleet, image):
    with started(image), client(fleet.operator) as operator:
        asked = _asked(fleet, image)
        fleet.shoal("claims", "accept", asked.name[:12], "--as", "hall-7", "--tag", "left")
        device = DeviceId("hall-7")
        operator.up().hear(ROOT.device(STATUS, device))
        message = operator.heard.wait_for(1, 60.0)[0]
    key = (fleet.folder / "keys/devices/hall-7.seal").read_bytes()
    status = codec.decode(seal.unseal(message.topic, message.payload, key), Status)
    assert status.boot == 1
    settings = config.read(image)
    assert (settings.device.id, settings.device.tags) == ("hall-7", ("hall", "left"))
    assert not _waiting(fleet).asked


def test_a_token_is_for_as_many_devices_as_it_says_ends_and_is_revoked(fleet, image):
    with started(image):
        asked = _asked(fleet, image)
    full = msgspec.structs.replace(asked.grant, devices_max=0)
    over = msgspec.structs.replace(asked.grant, ends=SystemClock().now())
    workspace = find(fleet.folder)
    with connected(workspace) as session:
        for grant in (full, over, msgspec.structs.replace(asked.grant, revoked=True)):
            with pytest.raises(Refused, match="token"):
                claiming.accept(
                    workspace, session, type(asked)(asked.name, grant, asked.document), DeviceId("hall-8")
                )
    fleet.shoal("claims", "revoke", asked.grant.name)
    fleet.shoal("claims", "accept", "--all")
    assert [each.name for each in _waiting(fleet).asked] == [asked.name]


def test_a_replayed_request_gains_the_same_certificate_and_uses_up_nothing(fleet, image):
    topic = None
    with started(image), client(fleet.operator) as operator:
        asked = _asked(fleet, image)
        topic = ROOT.claim(CLAIM_REQUEST, asked.name)
        operator.up().hear(topic, ROOT.claim(CLAIM_ANSWER, asked.name))
        request = operator.heard.wait_for(1, 30.0)[0].payload
        fleet.shoal("claims", "accept", "--all")
        operator.say(topic, request, retain=True)
        fleet.shoal("claims", "accept", "--all")
        answers = operator.heard.wait_until(
            lambda heard: sum(m.topic.endswith("/answer") for m in heard) >= 2, 30.0
        )
    said = {message.payload for message in answers if message.topic.endswith("/answer")}
    assert len(said) == 1
    (grant,) = (each for each in claiming.tokens(find(fleet.folder)) if each.name == asked.grant.name)
    assert len(grant.accepted) == 1


def test_a_request_under_another_name_or_without_the_token_is_not_heeded(fleet, image):
    with started(image), client(fleet.operator) as operator:
        asked = _asked(fleet, image)
        topic = ROOT.claim(CLAIM_REQUEST, asked.name)
        operator.up().hear(topic)
        request = operator.heard.wait_for(1, 30.0)[0].payload
        forged = {"stolen": request, "changed": request.replace(b'"host":"', b'"host":"x'), "none": b"{}"}
        for name, content in forged.items():
            operator.say(ROOT.claim(CLAIM_REQUEST, name), content, retain=True)
        found = _waiting(fleet)
        for name in forged:
            operator.say(ROOT.claim(CLAIM_REQUEST, name), b"", retain=True)
    assert [each.name for each in found.asked if each.name in forged] == []
    assert len(found.refused) == len(forged)


def test_a_device_takes_no_answer_that_is_not_for_its_own_key_by_its_own_fleet(fleet, image, tmp_path):
    """The forger has the token and the broker; he lacks the authority's key, and the device's."""
    require()
    with started(image), client(fleet.operator) as operator:
        asked = _asked(fleet, image)
        operator.up()
        own = (fleet.folder / "keys/operator.pem").read_text()
        assert main(["init", str(tmp_path / "else"), "--broker", "mqtts://127.0.0.1:1"]) == 0
        other = claiming.membership.authority(find(tmp_path / "else"))
        elsewhere = other.sign_request(asked.document.request.encode(), "hall-9").certificate.decode()
        topic = ROOT.claim(CLAIM_ANSWER, asked.name)
        for certificate in (own, elsewhere, "none"):
            answer = ClaimAnswer(device="hall-9", certificate=certificate)
            content = seal.seal(topic, codec.encode(answer), asked.grant.secret)
            operator.say(topic, content, retain=True)
        log = image.parent / "agent.log"
        until(lambda: log.read_text().count("claim.refused") >= 3)
    assert config.claimed.pending(config.read(image))
    words = log.read_text()
    assert "for another device's key" in words
    assert "that the fleet's authority did not sign" in words


def test_the_list_is_for_programs_too(fleet, capsys):
    capsys.readouterr()
    fleet.shoal("claims", "list", "--json")
    told = json.loads(capsys.readouterr().out)
    assert {"waiting", "refused", "tokens"} == told.keys()
    assert topics.MAIN not in told
