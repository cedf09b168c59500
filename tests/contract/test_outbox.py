"""What every `Outbox` does."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.outbox_files import FileOutbox
from agent.ports.outbox import Outbox
from tests.fakes.outbox import MemoryOutbox

TOPIC = "shoal/home/device/0/pi/event"
ROOM_BYTES = 1_048_576


@pytest.fixture(params=["files", "memory"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path):
    made = FileOutbox(tmp_path / "outbox", ROOM_BYTES) if request.param == "files" else MemoryOutbox()
    yield made
    made.close()


def put(outbox: Outbox, *numbers: int) -> None:
    for number in numbers:
        assert outbox.put(TOPIC, f"message {number}".encode())


def taken(outbox: Outbox, limit: int = 1_000_000) -> list[int]:
    return [int(kept.payload.split()[1]) for kept in outbox.take(limit)]


def test_what_was_put_is_taken_in_order_and_once(outbox: Outbox) -> None:
    put(outbox, *range(500))
    assert taken(outbox, 3) == [0, 1, 2]
    assert taken(outbox) == list(range(3, 500))
    assert (taken(outbox), outbox.ready()) == ([], False)
    put(outbox, 500)
    assert (outbox.ready(), taken(outbox)) == (True, [500])


def test_what_was_not_forgotten_can_be_taken_again(outbox: Outbox) -> None:
    put(outbox, *range(10))
    serials = [kept.serial for kept in outbox.take(6)]
    outbox.forget(serials[3])
    assert outbox.depth() == 6
    outbox.rewind()
    assert taken(outbox) == [4, 5, 6, 7, 8, 9]


def test_nothing_waits_once_all_is_forgotten(outbox: Outbox) -> None:
    put(outbox, *range(10))
    outbox.forget(outbox.take(10)[-1].serial)
    outbox.rewind()
    outbox.flush()()
    assert (outbox.depth(), outbox.ready(), taken(outbox)) == (0, False, [])
    put(outbox, 10)
    assert (outbox.depth(), taken(outbox)) == (1, [10])


def test_what_was_lost_is_counted_until_it_is_told(outbox: Outbox) -> None:
    outbox.lose()
    outbox.lose()
    assert (outbox.dropped(), outbox.untold()) == (2, 2)
    outbox.told(2)
    outbox.lose()
    assert (outbox.dropped(), outbox.untold()) == (3, 1)


def abandon(outbox: FileOutbox) -> None:
    """End as a SIGKILL would: the kernel closes the files, nothing else happens."""
    for descriptor in (outbox._book, outbox._tail):
        if descriptor is not None:
            os.close(descriptor)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 400)),
        st.tuples(st.just("take"), st.integers(1, 40)),
        st.tuples(st.just("forget"), st.integers(1, 40)),
        st.tuples(st.just("rewind"), st.just(0)),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("kill"), st.just(0)),
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_every_message_arrives_or_is_counted_whatever_happens_when(steps, tmp_path_factory) -> None:
    """The law of the outbox, over files small enough that old ones are dropped."""
    folder = tmp_path_factory.mktemp("law")
    room_bytes = 20_000
    outbox = FileOutbox(folder, room_bytes)
    flying: list[tuple[int, int]] = []
    arrived: list[int] = []
    count = 0
    for step, number in steps:
        match step:
            case "put":
                for _ in range(number):
                    assert outbox.put(TOPIC, f"message {count}".encode())
                    count += 1
            case "take":
                flying += [(kept.serial, int(kept.payload.split()[1])) for kept in outbox.take(number)]
            case "forget":
                for serial, message in flying[:number]:
                    outbox.forget(serial)
                    arrived.append(message)
                del flying[:number]
            case "rewind":
                flying.clear()
                outbox.rewind()
            case "flush":
                outbox.flush()()
            case "kill" if not flying:
                # Of what is on its way at that moment nobody could know whether it arrived.
                abandon(outbox)
                outbox = FileOutbox(folder, room_bytes)
        assert sum(path.stat().st_size for path in folder.glob("*.log")) <= room_bytes
        assert outbox.depth() + outbox.dropped() + len(arrived) <= count
    flying.clear()
    outbox.rewind()
    rest = taken(outbox)
    assert arrived + rest == sorted({*arrived, *rest})
    assert len(arrived) + len(rest) + outbox.dropped() == count
    assert rest == list(range(count - len(rest), count))
    outbox.close()
