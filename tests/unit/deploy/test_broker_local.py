import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import LinkState, Message, Outgoing
from agent.wire.errors import ConfigError, PortError
from agent.wire.topics import Qos
from deploy.adapters import broker_local
from deploy.adapters.broker_local import BrokerKind, LocalBroker, start_broker
from tests.brokers import WAIT_S, Inbox, require, running


@pytest.fixture(params=list(BrokerKind), ids=str)
def kind(request) -> BrokerKind:
    require(request.param)
    return request.param


def publish(broker: LocalBroker, topic: str, payload: bytes) -> None:
    states: Inbox[LinkState] = Inbox()
    link = MqttLink(LinkSettings(broker.host, broker.port, "writer"))
    link.open(states)
    try:
        states.wait_for(1)
        link.publish(Outgoing(topic, payload, Qos.AT_LEAST_ONCE, retain=True)).result(WAIT_S)
    finally:
        link.close()


def read(broker: LocalBroker, topic: str) -> bytes:
    inbox: Inbox[Message] = Inbox()
    link = MqttLink(LinkSettings(broker.host, broker.port, "reader"))
    link.subscribe([topic], Qos.AT_LEAST_ONCE, inbox)
    link.open(lambda _: None)
    try:
        return inbox.wait_for(1)[0].payload
    finally:
        link.close()


def test_it_serves_on_loopback_and_is_gone_afterwards(tmp_path, kind):
    with start_broker(tmp_path, kind=kind) as broker:
        publish(broker, "x", b"kept")
        assert read(broker, "x") == b"kept"
        assert (broker.host, broker.url) == ("127.0.0.1", f"mqtt://127.0.0.1:{broker.port}")
    assert broker.process.poll() is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((broker.host, broker.port), timeout=1.0)


def test_it_is_gone_after_an_error_too(tmp_path, kind):
    with pytest.raises(ZeroDivisionError), start_broker(tmp_path, kind=kind) as broker:
        raise ZeroDivisionError
    assert broker.process.poll() is not None


def test_one_that_does_not_listen_to_reason_is_killed(tmp_path, kind):
    with start_broker(tmp_path, kind=kind) as broker:
        broker.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, broker.process.pid, os.WSTOPPED)
    assert broker.process.returncode == -signal.SIGKILL


def test_several_run_side_by_side(tmp_path, kind):
    with start_broker(tmp_path / "a", kind=kind) as a, start_broker(tmp_path / "b", kind=kind) as b:
        assert a.port != b.port


def test_mosquitto_keeps_what_is_retained_across_a_restart_on_the_same_port(tmp_path):
    with running(tmp_path, BrokerKind.MOSQUITTO) as broker:
        publish(broker, "x", b"kept")
    with start_broker(tmp_path, kind=BrokerKind.MOSQUITTO, port=broker.port) as again:
        assert again.port == broker.port
        assert read(again, "x") == b"kept"


def test_mosquitto_loses_no_more_than_seconds_by_a_kill(tmp_path):
    with running(tmp_path, BrokerKind.MOSQUITTO) as broker:
        publish(broker, "x", b"kept")
        deadline = time.monotonic() + WAIT_S
        while not (tmp_path / "mosquitto.db").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        broker.process.kill()
        broker.process.wait()
    with start_broker(tmp_path, kind=BrokerKind.MOSQUITTO) as again:
        assert read(again, "x") == b"kept"


def test_a_port_that_is_taken_is_told_with_the_brokers_own_words(tmp_path, kind):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(PortError, match=r"(?i)address already in use"),
            start_broker(tmp_path, kind=kind, port=port),
        ):
            pass


def test_where_another_program_takes_the_free_port_first_the_next_one_is_tried(tmp_path, kind, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], broker_local._free_port()])
        monkeypatch.setattr(broker_local, "_free_port", lambda: next(ports))
        with start_broker(tmp_path, kind=kind) as broker:
            assert broker.port != taken.getsockname()[1]


def test_without_any_broker_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(broker_local, "installed_kinds", tuple)
    with pytest.raises(ConfigError, match="install mosquitto"), start_broker(tmp_path):
        pass
    with (
        pytest.raises(ConfigError, match="the embedded broker is not"),
        start_broker(tmp_path, kind=BrokerKind.EMBEDDED),
    ):
        pass


def test_the_embedded_broker_ends_with_the_process_that_started_it(any_broker):
    del any_broker
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "deploy.adapters.broker_embedded", str(broker_local._free_port())],
        stdin=subprocess.PIPE,
    )
    assert child.stdin is not None
    child.stdin.close()
    try:
        assert child.wait(WAIT_S) == 0
    finally:
        child.kill()
        child.wait()


def test_a_broker_is_gone_where_the_process_that_started_it_is_killed(tmp_path, kind):
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from deploy.adapters.broker_local import BrokerKind, start_broker\n"
        "with start_broker(Path(sys.argv[1]), kind=BrokerKind(sys.argv[2])) as broker:\n"
        "    print(broker.port, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), kind], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        port = int(starter.stdout.readline())
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S).close()
        starter.kill()
    deadline = time.monotonic() + WAIT_S
    while broker_local._accepts(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1.0)
