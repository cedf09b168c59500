"""What comes is laid down within bounds, and goes on whole; a receiver that dies is begun again."""

import os
import signal
import threading
import time

import pytest

from agent.ports.link import Message
from deploy.adapters import kept_process
from deploy.adapters.receiver_process import receiving
from deploy.adapters.workspace import Broker, Settings, create, write_settings
from deploy.page import receiver
from deploy.page.receiver import Backlog
from tests.fakes.parcels import unpacked

PATIENCE_S = 30.0


def test_what_comes_goes_on_in_its_order_and_once():
    backlog = Backlog()
    sent = [Message(f"shoal/{n}", bytes([n]) * n) for n in range(200)]
    for message in sent:
        backlog.lay(message)
    assert unpacked(b"".join(backlog.batches())) == sent
    assert list(backlog.batches()) == []


@pytest.mark.parametrize(("bound", "value"), [("BACKLOG_MAX", 3), ("BACKLOG_MAX_BYTES", 300)])
def test_what_does_not_fit_is_lost_and_told_of_once(monkeypatch, bound, value):
    monkeypatch.setattr(receiver, bound, value)
    backlog = Backlog()
    for _ in range(5):
        backlog.lay(Message("t", bytes(100)))
    *kept, told = unpacked(b"".join(backlog.batches()))
    assert (len(kept), told) == (3, Message("", b"2"))
    backlog.lay(Message("t", bytes(100)))
    assert len(unpacked(b"".join(backlog.batches()))) == 1


def test_a_receiver_that_is_killed_is_begun_again_and_ends_with_its_reader(tmp_path, monkeypatch, any_broker):
    monkeypatch.setattr(kept_process, "PAUSE_S", 0.01)
    workspace = create(tmp_path / "fleet", Settings(broker=Broker(url=any_broker.url, root="shoal/received")))
    write_settings(workspace)
    with receiving(workspace.folder, lambda _: None, lambda _: None) as process:
        first = _pid(process, None)
        os.kill(first, signal.SIGKILL)
        second = _pid(process, first)
    assert process.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)
    assert "receiver" not in {thread.name for thread in threading.enumerate()}


def _pid(process, other):
    ends = time.monotonic() + PATIENCE_S
    while process.pid in {None, other} and time.monotonic() < ends:
        time.sleep(0.01)
    assert process.pid not in {None, other}, "nobody receives"
    return process.pid
