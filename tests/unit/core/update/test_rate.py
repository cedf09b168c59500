from hypothesis import given
from hypothesis import strategies as st

from agent.core.update import rate
from agent.core.update import window as windows
from agent.core.update.window import Ask, Done, GiveUp, Patience, Wait
from agent.wire.documents import CHUNK_MAX_BYTES
from agent.wire.topics import sha256

caps = st.floats(100.0, 1e7)


def test_the_lower_cap_counts_and_none_is_no_cap() -> None:
    assert rate.lower(0.0, 0.0) == 0.0
    assert rate.lower(0.0, 5_000.0) == 5_000.0
    assert rate.lower(9_000.0, 5_000.0) == 5_000.0


@given(caps, st.lists(st.tuples(st.floats(0.0, 100.0), st.integers(1, CHUNK_MAX_BYTES)), max_size=60))
def test_over_any_time_no_more_is_asked_for_than_the_cap_and_two_chunks(cap, asks) -> None:
    bucket, now_s, asked = rate.Bucket(cap), 0.0, []
    for pause_s, length in asks:
        now_s += pause_s
        bucket = rate.filled(bucket, now_s)
        if rate.is_ready(bucket):
            bucket = rate.spent(bucket, length)
            asked.append((now_s, length))
    for first, (begin_s, _) in enumerate(asked):
        total = 0
        for at_s, length in asked[first:]:
            total += length
            assert total <= cap * (at_s - begin_s) * (1 + 1e-9) + 2 * CHUNK_MAX_BYTES


@given(caps, st.integers(1, CHUNK_MAX_BYTES), st.floats(0.0, 1e6))
def test_a_debt_is_paid_at_the_instant_that_is_foretold(cap, length, now_s) -> None:
    bucket = rate.spent(rate.filled(rate.Bucket(cap), now_s), length)
    assert not rate.is_ready(bucket)
    due_s = rate.ready_at_s(bucket)
    assert rate.is_ready(rate.filled(bucket, due_s + 1e-6 * max(1.0, due_s)))


@given(
    st.lists(st.integers(1, CHUNK_MAX_BYTES), min_size=1, max_size=40),
    st.floats(200.0, 1e6),
    st.floats(0.001, 3.0),
)
def test_under_any_cap_every_chunk_is_asked_for_once_and_none_is_given_up(lengths, cap, trip_s) -> None:
    """On a line that answers after `trip_s`, however long the cap makes the whole take."""
    missing = {sha256(bytes([index])): length for index, length in enumerate(lengths)}
    window, now_s, under_way, asked_bytes = windows.start(missing, Patience(), cap), 5.0, [], 0
    for _ in range(1_000):
        window, order = windows.plan(window, now_s)
        match order:
            case Ask(chunks):
                under_way += [(now_s + trip_s, chunk) for chunk in chunks]
                asked_bytes += sum(missing[chunk] for chunk in chunks)
            case Wait(until_s) if under_way and under_way[0][0] <= until_s:
                now_s, chunk = under_way.pop(0)
                window = windows.received(window, chunk, now_s)
            case Wait(until_s):
                assert until_s > now_s
                now_s = until_s * (1 + 1e-12)
            case GiveUp():
                raise AssertionError(order)
            case Done():
                break
    assert window.finished
    assert asked_bytes == sum(lengths)
    assert now_s - 5.0 >= (sum(lengths) - 2 * CHUNK_MAX_BYTES) / cap
