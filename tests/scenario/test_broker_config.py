"""The brokers that `shoal broker-config` configures, where power and lines fail."""

import time

import pytest

from agent.adapters.link_mqtt import LinkSettings, Tls
from agent.wire.topics import REPORT, DeviceId, Root, sha256
from tests.mosquittos import (
    HOST,
    SAVE_S,
    as_device,
    client,
    free_port,
    options,
    require,
    running,
    secured,
    until,
)

ROOT = Root("shoal/home")
DEVICE = DeviceId("pi-1")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    require()
    with secured(tmp_path_factory.mktemp("brokers")) as made:
        yield made


def test_a_killed_broker_forgets_nothing_older_than_its_interval(fleet):
    topic, store = ROOT.meta("timestamp"), fleet.broker.folder / "mosquitto.db"
    with client(fleet.operator) as operator:
        for content in (b"old", b"new"):
            operator.up().say(topic, content, retain=True)
    said_ns, began = time.time_ns(), time.monotonic()
    until(lambda: store.exists() and store.stat().st_mtime_ns > said_ns)
    assert time.monotonic() - began < SAVE_S + 15
    fleet.broker.kill()
    fleet.broker.start()
    with client(fleet.operator) as operator:
        operator.up().hear(topic)
        assert operator.heard.wait_for(1, 30.0)[0].payload == b"new"
        operator.say(topic, b"", retain=True)


def test_a_sites_broker_serves_what_it_has_and_carries_words_up_when_the_one_above_is_back(fleet, tmp_path):
    port, site = free_port(), tmp_path / "site"
    fleet.shoal("broker-config", "--bridge-to", fleet.broker.url, "--site", "hall", *options(site, port))
    device = as_device(fleet.enrol(DEVICE, tmp_path, "--broker", f"mqtts://{HOST}:{port}"))
    signed = {
        ROOT.index(), ROOT.meta("1.root"), ROOT.target(sha256(b"plan")),
        *(ROOT.chunk(sha256(bytes([number]))) for number in range(200)),
    }  # fmt: skip
    report = ROOT.device(REPORT, DEVICE)
    with client(fleet.operator) as operator:
        for topic in signed:
            operator.up().say(topic, topic.encode(), retain=True)
    with running(site, port), client(device) as reader:
        reader.up().hear(*(f"{ROOT.prefix}/{what}/#" for what in ("meta", "target", "chunk")))
        until(lambda: set(reader.topics) >= signed)
        fleet.broker.stop()
        with client(device) as late:
            late.up().hear(*signed)
            until(lambda: set(late.topics) >= signed)
            late.say(report, b"what it runs", retain=True)
        fleet.broker.start()
        with client(fleet.operator) as operator:
            operator.up().hear(report)
            assert operator.heard.wait_for(1, 60.0)[0].payload == b"what it runs"


def test_a_sites_broker_can_change_nothing_that_is_signed(fleet, tmp_path):
    site = tmp_path / "site"
    fleet.shoal(
        "broker-config", "--bridge-to", fleet.broker.url, "--site", "hall", *options(site, free_port())
    )
    tls = Tls(site / "ca.pem", site / "site.pem", site / "site.key")
    forbidden = [ROOT.index(), ROOT.meta("timestamp"), ROOT.chunk(sha256(b"")), ROOT.target(sha256(b""))]
    mark = ROOT.device(REPORT, DeviceId("mark"))
    with (
        client(fleet.operator) as operator,
        client(LinkSettings(HOST, fleet.broker.port, "site", tls=tls)) as thief,
    ):
        operator.up().hear(mark, *forbidden)
        operator.say(mark, b"first")
        operator.heard.wait_until(lambda heard: any(m.payload == b"first" for m in heard), 30.0)
        for topic in (*forbidden, mark):
            thief.up().say(topic, b"forged")
        heard = operator.heard.wait_until(
            lambda heard: any(m.topic == mark and m.payload == b"forged" for m in heard)
        )
    assert [message.topic for message in heard if message.payload == b"forged"] == [mark]
