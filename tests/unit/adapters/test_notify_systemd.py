import logging
import os
import socket

import pytest

from agent.adapters.notify_systemd import SystemdNotify
from agent.ports.notify import Alive, Extend, Ready, Reloading, Status, Stopping
from tests.fakes.notify import NotifySocket

DEADLINE_S = 5.0


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ((Ready(),), ["READY=1"]),
        ((Ready(), Status("serving")), ["READY=1", "STATUS=serving"]),
        ((Status("two\nlines\tand  gaps"),), ["STATUS=two lines and gaps"]),
        ((Alive(),), ["WATCHDOG=1"]),
        ((Extend(1.5),), ["EXTEND_TIMEOUT_USEC=1500000"]),
        ((Reloading(3_000_500),), ["RELOADING=1", "MONOTONIC_USEC=3000"]),
        ((Stopping(),), ["STOPPING=1"]),
    ],
)
def test_words_go_out_as_the_protocol_has_them(tmp_path, words, lines):
    with NotifySocket(tmp_path) as manager:
        SystemdNotify(manager.environment()).tell(*words)
        assert [manager.wait(lambda _: True, DEADLINE_S) for _ in lines] == lines


def test_an_at_sign_means_the_abstract_namespace():
    name = f"shoal-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(DEADLINE_S)
        SystemdNotify({"NOTIFY_SOCKET": f"@{name}"}).tell(Ready())
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_the_one_meant_for_this_process(environment, watchdog_s):
    assert SystemdNotify({"NOTIFY_SOCKET": "/run/x"} | environment).watchdog_s == watchdog_s


def test_without_a_service_manager_nothing_is_said_and_nothing_watched():
    notify = SystemdNotify({"WATCHDOG_USEC": "30000000"})
    notify.tell(Ready())
    assert notify.watchdog_s is None


def test_what_the_service_manager_said_is_for_no_child():
    environment = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    SystemdNotify(environment)
    assert environment == {"HOME": "/"}


def test_a_manager_that_is_gone_is_logged_once(tmp_path, caplog):
    notify = SystemdNotify({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    with caplog.at_level(logging.WARNING):
        notify.tell(Alive())
        notify.tell(Alive())
    assert [record.message for record in caplog.records] == ["notify.failed"]
