"""What Mosquitto lets each of them do, with what `shoal enrol`, `revoke` and `broker-config` wrote."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from agent.adapters.link_mqtt import LinkSettings, Tls
from agent.core.refusal import Refusal
from agent.ports.link import Down
from agent.wire import topics
from agent.wire.seal import key_from
from agent.wire.topics import (
    CLAIM_ANSWER,
    CLAIM_REQUEST,
    COMMAND,
    INSTALL,
    MODEL,
    PREDICTION,
    REPORT,
    STATUS,
    DeviceId,
    House,
    Root,
)
from deploy.adapters.workspace import find
from deploy.assemble.desk.controlling import seal_keys
from deploy.assemble.enrolment import homes
from deploy.cli.main import main
from tests.mosquittos import HOST, Client, Fleet, as_device, client, require, secured

ROOT = Root("shoal/home")
_MARKS = itertools.count()
ONE, OTHER = DeviceId("pi-1"), DeviceId("pi-2")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    require()
    with secured(tmp_path_factory.mktemp("isolation")) as made:
        yield made


def _listen(operator: Client, *more: str) -> None:
    """From now on it hears everything."""
    operator.up().hear(f"{ROOT.prefix}/#", *more)
    _delivered(operator, operator, [])


def _delivered(sender: Client, receiver: Client, wanted: list[str]) -> list[str]:
    """What arrived up to a mark that is certain to. It is retained: a subscription that is still under way
    brings it, too, and then stands.
    """
    mark = f"{ROOT.prefix}/meta/mark-{next(_MARKS)}"
    sender.say(mark, b"x", retain=True)
    receiver.heard.wait_until(lambda heard: any(m.topic == mark for m in heard))
    return [topic for topic in receiver.topics if topic in wanted]


def test_a_device_speaks_under_its_own_topics_only(fleet, tmp_path):
    settings = fleet.enrol("pi-1", tmp_path)
    own = [ROOT.device(STATUS, ONE), ROOT.device(REPORT, ONE, "side"), ROOT.device(PREDICTION, ONE)]
    others = [
        ROOT.device(COMMAND, ONE), ROOT.device(STATUS, OTHER), ROOT.device(REPORT, OTHER, "side"),
        ROOT.device(COMMAND, OTHER), ROOT.index(), ROOT.meta("timestamp"), ROOT.target(topics.sha256(b"")),
        ROOT.chunk(topics.sha256(b"")), "shoal/other/meta/index", "else",
    ]  # fmt: skip
    with client(fleet.operator) as operator, client(as_device(settings)) as device:
        _listen(operator, "else")
        for topic in (*own, *others):
            device.up().say(topic, b"x")
        assert _delivered(operator, operator, [*own, *others]) == own


def test_a_device_hears_what_is_for_all_and_for_itself(fleet, tmp_path):
    settings = fleet.enrol("pi-1", tmp_path)
    chunk = topics.sha256(b"1")
    heard = [ROOT.device(COMMAND, ONE), ROOT.meta("7.root"), ROOT.chunk(chunk), ROOT.slice(chunk, 3)]
    others = [ROOT.device(COMMAND, OTHER), ROOT.device(REPORT, OTHER), ROOT.device(PREDICTION, OTHER)]
    with client(fleet.operator) as operator, client(as_device(settings)) as device:
        device.up().hear("#", f"{ROOT.prefix}/#", *heard, *others)
        _delivered(operator.up(), device, [])
        for topic in (*others, *heard):
            operator.say(topic, b"x")
        assert sorted(set(_delivered(operator, device, [*heard, *others]))) == sorted(heard)


@pytest.mark.parametrize("called", ["+", "#", "other", "operator"])
def test_whatever_a_device_calls_itself_it_hears_and_answers_no_claim_of_another(fleet, tmp_path, called):
    """The name of a claim is the id that its client chose; rights of a name are in the certificate alone."""
    settings = replace(as_device(fleet.enrol("pi-1", tmp_path)), client_id=called)
    claims = [ROOT.claim(CLAIM_ANSWER, "mine"), ROOT.claim(CLAIM_REQUEST, "mine")]
    with client(fleet.operator) as operator, client(settings) as device:
        _listen(operator)
        device.up().hear(*claims, ROOT.everywhere(CLAIM_ANSWER), ROOT.everywhere(CLAIM_REQUEST))
        for topic in claims:
            device.say(topic, b"forged")
        assert _delivered(operator, operator, claims) == []
        operator.say(claims[0], b"answer")
        device.say(ROOT.device(STATUS, ONE), b"acknowledged after what came before it")
        assert device.topics == []


def test_who_takes_the_client_id_of_another_throws_it_out_and_it_comes_back(fleet, tmp_path):
    victim = as_device(fleet.enrol("pi-1", tmp_path / "victim"))
    thief = replace(as_device(fleet.enrol("pi-2", tmp_path / "thief")), client_id=victim.client_id)
    with client(victim) as device:
        device.up()
        with client(thief) as other:
            other.up()
            device.states.wait_until(lambda states: any(isinstance(state, Down) for state in states), 30.0)
        device.up()


def test_who_has_no_certificate_is_not_let_in(fleet):
    tls = Tls(fleet.folder / "keys/ca/ca.pem")
    with client(LinkSettings(HOST, fleet.broker.port, "nobody", tls=tls)) as nobody:
        assert isinstance(nobody.states.wait_for(1, 30.0)[0], Down)


def test_a_revoked_device_is_silenced_at_once_and_not_let_in_again(fleet, tmp_path):
    settings = as_device(fleet.enrol("pi-3", tmp_path))
    topic = ROOT.device(STATUS, DeviceId("pi-3"))
    with client(fleet.operator) as operator:
        _listen(operator)
        with client(settings) as device:
            device.up().say(topic, b"before")
            fleet.shoal("revoke", "pi-3", "--why", "stolen")
            fleet.broker.reload()
            # A reload is asynchronous: what is refused after it stands behind what the operator says of it.
            with client(settings) as again:
                down = again.states.wait_until(lambda states: isinstance(states[-1], Down), 30.0)[-1]
                assert down.refusal is Refusal.CLIENT_CERTIFICATE
            device.say(topic, b"after")
            _delivered(operator, operator, [])
        said = [message.payload for message in operator.heard.items if message.topic == topic]
        assert said == [b"before"]


def test_an_earlier_certificate_counts_no_more_once_the_device_is_enrolled_anew(fleet, tmp_path):
    before = as_device(fleet.enrol("pi-4", tmp_path / "before"))
    after = as_device(fleet.enrol("pi-4", tmp_path / "after"))
    fleet.broker.reload()
    with client(after) as device:
        device.up()
    with client(before) as device:
        assert isinstance(device.states.wait_for(1, 30.0)[0], Down)


def test_a_device_with_a_password_has_its_own_topics_too(fleet, tmp_path):
    url = f"mqtts://{HOST}:{fleet.password_port}"
    settings = fleet.enrol("pi-5", tmp_path, "--password", "--broker", url)
    fleet.broker.reload()
    own, other = ROOT.device(STATUS, DeviceId("pi-5")), ROOT.device(STATUS, ONE)
    with client(fleet.operator) as operator, client(as_device(settings)) as device:
        _listen(operator)
        device.up()
        for topic in (other, own):
            device.say(topic, b"x")
        assert _delivered(operator, operator, [own, other]) == [own]


def test_a_password_for_a_listener_that_asks_for_certificates_is_refused(fleet, capsys):
    assert main(["enrol", "pi-5", "--password", "--workspace", str(fleet.folder)]) == 1
    assert "--password-port" in capsys.readouterr().err


def test_the_script_leaves_what_only_the_device_may_read(fleet, tmp_path):
    settings = fleet.enrol("pi-6", tmp_path, "--tag", "line-3", "--tag", "line-1")
    assert settings.device.tags == ("line-1", "line-3")
    key = key_from(Path(settings.device.seal_key_file).read_bytes())
    assert key.secret == seal_keys(find(fleet.folder))(DeviceId("pi-6")), "or its reports are not believed"
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == dict.fromkeys(
        ("agent.toml", "root.json", "ca.pem", "device.pem", "device.key", "seal.key"), "0o640"
    )


def test_a_device_announces_itself_only_and_is_accepted_for_by_its_home_only(fleet, tmp_path):
    one, house = fleet.enrol("pi-1", tmp_path), House()
    own = [house.announcement(ONE), ROOT.device(MODEL, ONE), ROOT.device(MODEL, ONE, "side")]
    others = [
        house.announcement(OTHER), ROOT.device(MODEL, OTHER), house.status(),
        "homeassistant/sensor/pi-1/config", ROOT.device(INSTALL, ONE), ROOT.device(INSTALL, OTHER),
    ]  # fmt: skip
    with client(fleet.operator) as operator, client(as_device(one)) as device, client(_home(fleet)) as home:
        home.up().hear("homeassistant/#", ROOT.everywhere(MODEL))
        _listen(operator)
        device.up().hear(house.status(), ROOT.device(INSTALL, ONE), ROOT.device(INSTALL, OTHER), "#")
        for topic in (*own, *others):
            device.say(topic, b"x")
        device.say(own[0], b"the last")
        heard = home.heard.wait_until(lambda heard: any(m.payload == b"the last" for m in heard))
        assert [m.topic for m in heard if m.payload == b"x"] == own
        for topic in (ROOT.device(INSTALL, OTHER), ROOT.device(INSTALL, ONE), house.status(), ROOT.index()):
            home.say(topic, b"INSTALL")
        device.heard.wait_until(lambda heard: any(m.topic == house.status() for m in heard))
        told = {ROOT.device(INSTALL, ONE), ROOT.device(INSTALL, OTHER), house.status(), ROOT.index()}
        assert told & set(device.topics) == {ROOT.device(INSTALL, ONE), house.status()}
        assert ROOT.index() not in _delivered(operator, operator, [ROOT.index()])


def test_a_home_forgets_a_device_that_is_revoked(fleet, tmp_path):
    settings, announced = as_device(fleet.enrol("pi-8", tmp_path)), House().announcement("pi-8")
    with client(settings) as device:
        device.up().say(announced, b"{}", retain=True)
    fleet.shoal("revoke", "pi-8", "--why", "sold")
    with client(_home(fleet)) as home:
        home.up().hear(announced, f"{ROOT.prefix}/device/#")
        home.say(announced, b"the last")
        heard = home.heard.wait_until(lambda heard: any(m.payload == b"the last" for m in heard))
        assert [m.payload for m in heard if m.topic == announced] == [b"the last"]


def _home(fleet: Fleet) -> LinkSettings:
    """A Home Assistant, as `shoal broker-config --homeassistant` lets it in."""
    keys = homes.admit(find(fleet.folder), password=False)
    tls = Tls(fleet.folder / "keys/ca/ca.pem", keys.certificate, keys.key)
    return LinkSettings(HOST, fleet.broker.port, f"home-{next(_MARKS)}", tls=tls)


def test_other_tags_need_no_other_keys(fleet, tmp_path):
    before = fleet.enrol("pi-7", tmp_path, "--tag", "a")
    key = Path(before.broker.key).read_bytes()
    after = fleet.enrol("pi-7", tmp_path, "--tag", "b", "--keep-keys")
    assert (after.device.tags, Path(after.broker.key).read_bytes()) == (("b",), key)
    assert after.device.seal_key_file == before.device.seal_key_file
    with client(as_device(after)) as device:
        device.up()
