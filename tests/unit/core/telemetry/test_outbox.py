from hypothesis import assume, given
from hypothesis import strategies as st

from agent.core.telemetry.outbox import LEDGER_BYTES, Allowance, Kept, Ledger, newest, record, records

KEPT = st.builds(
    Kept,
    serial=st.integers(0, 2**64 - 1),
    topic=st.text("shoal/dévice-7", max_size=40),
    payload=st.binary(max_size=300),
)


@given(st.lists(KEPT, max_size=8))
def test_records_come_back_as_they_were_written(kept):
    content = b"".join(map(record, kept))
    assert records(content) == (kept, len(content))


@given(st.lists(KEPT, min_size=1, max_size=6), st.data())
def test_a_torn_tail_costs_only_the_record_it_tears(kept, data):
    content = b"".join(map(record, kept))
    torn = data.draw(st.integers(1, len(record(kept[-1]))))
    tail = data.draw(st.sampled_from([b"", bytes(torn), b"\xff" * torn]))
    whole = len(content) - len(record(kept[-1]))
    damaged = content[: len(content) - torn] + tail
    assume(damaged != content)
    assert records(damaged) == (kept[:-1], whole)


@given(st.lists(KEPT, min_size=1, max_size=6), st.data())
def test_no_changed_byte_is_read_as_a_message(kept, data):
    content = bytearray(b"".join(map(record, kept)))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    found, _ = records(bytes(content))
    assert found == kept[: len(found)]
    assert len(found) < len(kept)


def test_a_new_outbox_has_an_empty_ledger():
    assert newest([b"", b""]) == Ledger()


@given(st.integers(1, 2**60), st.data())
def test_a_torn_ledger_costs_one_step(generation, data):
    before = Ledger(generation, done=5, dropped=2, told=1)
    after = Ledger(generation + 1, done=9, dropped=3, told=3)
    assert newest([after.encode(), before.encode()]) == after
    torn = data.draw(st.integers(0, LEDGER_BYTES - 1))
    assert newest([after.encode()[:torn], before.encode()]) == before


def leave(allowance: Allowance, now_s: float) -> int:
    """How many may leave at this instant."""
    count = 0
    while allowance.ask(now_s) == 0.0:
        count += 1
    return count


def test_what_waited_before_the_connection_leaves_at_the_given_rate():
    allowance = Allowance(50.0)
    for _ in range(10_000):
        allowance.admit()
    allowance.restart(100.0)
    left = sum(leave(allowance, 100.0 + tick / 100) for tick in range(1_001))
    assert 499 <= left <= 501


def test_what_comes_in_while_connected_leaves_at_once():
    allowance = Allowance(0.001)
    allowance.restart(0.0)
    for tick in range(100):
        allowance.admit()
        assert leave(allowance, float(tick)) == 1


@given(st.floats(0.1, 10_000.0), st.floats(0.0, 5.0))
def test_the_wait_it_names_is_long_enough(per_s, pause_s):
    allowance = Allowance(per_s)
    allowance.restart(0.0)
    leave(allowance, pause_s)
    wait_s = allowance.ask(pause_s)
    assert 0.0 < wait_s <= 1.0 / per_s
    assert allowance.ask(pause_s + wait_s + 1e-6) == 0.0
