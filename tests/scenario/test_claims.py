"""A device from a factory image comes by its identity; real device, real openssl, real Mosquitto."""

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import msgspec
import pytest

from agent import config
from agent.adapters import openssl
from agent.adapters.clock_system import SystemClock
from agent.wire import codec, seal, topics
from agent.wire.claims import ClaimAnswer, ClaimRequest
from agent.wire.reports import Status
from agent.wire.topics import CLAIM_ANSWER, CLAIM_REQUEST, STATUS, DeviceId, Root
from deploy.adapters.authority import Authority
from deploy.adapters.workspace import Accept, Claims, Workspace, find
from deploy.assemble.controller.serving import Controller
from deploy.assemble.desk.controlling import desk
from deploy.assemble.desk.session import connected
from deploy.assemble.enrolment import claiming
from deploy.assemble.enrolment.claiming import WantedToken
from deploy.core.enrolment.claims import Asked
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


def _serve_once(fleet):
    """One turn of a controller that is told to accept whoever has a token."""
    workspace = find(fleet.folder)
    claims = Claims(accept=Accept.WITH_TOKEN)
    told = Workspace(workspace.folder, msgspec.structs.replace(workspace.settings, claims=claims))
    with desk(told) as at:
        Controller(at, threading.Event()).turn()


def test_a_device_takes_an_identity_for_its_own_key_by_its_own_fleet_and_speaks_under_its_own_seal(
    fleet, image, tmp_path
):
    """The forger has the token and the broker; he lacks the authority's key, and the device's."""
    device, log = DeviceId("hall-7"), image.parent / "agent.log"
    with started(image), client(fleet.operator) as operator:
        asked = _asked(fleet, image)
        operator.up()
        for certificate in _forged(asked, fleet.folder, tmp_path):
            answer = ClaimAnswer(device="hall-9", certificate=certificate)
            topic = ROOT.claim(CLAIM_ANSWER, asked.name)
            operator.say(topic, seal.seal(topic, codec.encode(answer), asked.grant.secret), retain=True)
        until(lambda: log.read_text().count("claim.refused") >= 3, 60.0)
        assert config.claimed.pending(config.read(image))
        fleet.shoal("claims", "accept", asked.name[:12], "--as", device, "--tag", "left")
        operator.hear(ROOT.device(STATUS, device))
        message = operator.heard.wait_for(1, 60.0)[0]
    key = seal.key_from((fleet.folder / f"keys/devices/{device}.seal").read_bytes()).secret
    assert codec.decode(seal.unseal(message.topic, message.payload, key), Status).boot == 1
    settings = config.read(image)
    assert (settings.device.id, settings.device.tags) == (device, ("hall", "left"))
    assert "for another device's key" in log.read_text()
    assert "that the fleet's authority did not sign" in log.read_text()


def _forged(asked, folder, elsewhere):
    """Certificates of another key, of another fleet, and none."""
    yield (folder / "keys/operator.pem").read_text()
    other = Authority(elsewhere / "ca", SystemClock())
    yield other.sign_request(asked.document.request.encode(), "hall-9").certificate.decode()
    yield "none"


@pytest.fixture
def claim(fleet, tmp_path):
    """What a device would ask under this name, with a token of its own for two devices."""
    workspace = find(fleet.folder)
    grant, _ = claiming.make_token(workspace, WantedToken(devices=2, days=1))
    openssl.make_key(tmp_path / "key")
    document = ClaimRequest(
        token=grant.name, request=openssl.request(tmp_path / "key", "x").decode(), at=SystemClock().now()
    )
    name = f"c{time.monotonic_ns()}"
    topic = ROOT.claim(CLAIM_REQUEST, name)
    return Asked(name, grant, document), topic, seal.seal(topic, codec.encode(document), grant.secret)


@pytest.mark.parametrize(
    "spent",
    [{"devices_max": 0}, {"ends": SystemClock().now()}, {"revoked": True}],
    ids=["used up", "over", "revoked"],
)
def test_a_token_is_for_as_many_devices_as_it_says_ends_and_is_revoked(fleet, claim, spent):
    asked, _, _ = claim
    asked = Asked(asked.name, msgspec.structs.replace(asked.grant, **spent), asked.document)
    workspace = find(fleet.folder)
    with connected(workspace) as session, pytest.raises(Refused, match=f"token {asked.grant.name}"):
        claiming.accept(workspace, session, asked, DeviceId("hall-8"))


def test_whoever_has_a_revoked_token_asks_in_vain(fleet, claim):
    asked, topic, content = claim
    with client(fleet.operator) as operator:
        operator.up().say(topic, content, retain=True)
        fleet.shoal("claims", "revoke", asked.grant.name)
        fleet.shoal("claims", "accept", "--all")
        assert asked.name in {each.name for each in _waiting(fleet).asked}
        operator.say(topic, b"", retain=True)


def test_a_replayed_request_gains_the_same_certificate_and_uses_up_nothing(fleet, claim):
    asked, topic, content = claim
    answered = ROOT.claim(CLAIM_ANSWER, asked.name)
    with client(fleet.operator) as operator:
        operator.up().hear(answered)
        for count in (1, 2):
            operator.say(topic, content, retain=True)
            _serve_once(fleet)
            answers = operator.heard.wait_for(count, 30.0)
    assert len({message.payload for message in answers}) == 1
    (grant,) = (each for each in claiming.tokens(find(fleet.folder)) if each.name == asked.grant.name)
    assert len(grant.accepted) == 1


def test_a_request_under_another_name_or_without_the_token_is_not_heeded(fleet, claim):
    _, _, content = claim
    forged = {
        "stolen": content,
        "changed": content.replace(b'"host":"', b'"host":"x'),
        "unknown": content.replace(b'"token":"', b'"token":"x'),
        "none": b"{}",
    }
    with client(fleet.operator) as operator:
        for name, forgery in forged.items():
            operator.up().say(ROOT.claim(CLAIM_REQUEST, name), forgery, retain=True)
        found = _waiting(fleet)
        for name in forged:
            operator.say(ROOT.claim(CLAIM_REQUEST, name), b"", retain=True)
    assert [each.name for each in found.asked if each.name in forged] == []
    assert len(found.refused) == len(forged)


def test_the_list_is_for_programs_too(fleet, capsys):
    capsys.readouterr()
    fleet.shoal("claims", "list", "--json")
    told = json.loads(capsys.readouterr().out)
    assert {"waiting", "refused", "tokens"} == told.keys()
    assert topics.MAIN not in told
