import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.update import window as windows
from agent.core.update.window import (
    FIRST_LIMIT,
    LIMIT_MAX,
    LONG_ROUND_TRIP_S,
    TORN_CHUNKS,
    Ask,
    Done,
    GiveUp,
    Lack,
    Order,
    Patience,
    Wait,
    Window,
)
from agent.wire.topics import Digest, sha256

PATIENCE = Patience()


def chunks(count: int) -> tuple[Digest, ...]:
    return tuple(sha256(bytes([n])) for n in range(count))


def begun(count: int, patience: Patience = PATIENCE) -> Window:
    return windows.start(dict.fromkeys(chunks(count), 1_000), patience)


def under_way(window: Window) -> tuple[Digest, ...]:
    return tuple(asked.wanted.chunk for asked in window.in_flight)


def waiting(window: Window) -> tuple[Digest, ...]:
    return tuple(wanted.chunk for wanted in window.waiting)


def run_dry(window: Window, now_s: float, step_s: float) -> tuple[Window, float]:
    """Answer everything at once, `step_s` after it was asked for."""
    while not isinstance(order := windows.plan(window, now_s)[1], Done):
        assert isinstance(order, Ask)
        window, _ = windows.plan(window, now_s)
        now_s += step_s
        for chunk in order.chunks:
            window = windows.received(window, chunk, now_s)
    return window, now_s


def test_the_first_chunks_are_asked_for_in_order_up_to_the_limit() -> None:
    window, order = windows.plan(begun(20), 0.0)
    assert order == Ask(chunks(20)[:FIRST_LIMIT])
    assert windows.plan(window, 0.0)[1] == Wait(PATIENCE.first_timeout_s)


def test_nothing_missing_is_done() -> None:
    assert windows.plan(begun(0), 0.0)[1] == Done()


def test_the_window_slides_by_what_came() -> None:
    window, _ = windows.plan(begun(20), 0.0)
    for chunk in (chunks(20)[3], chunks(20)[0]):
        window = windows.received(window, chunk, 0.01)
    assert windows.plan(window, 0.01)[1] == Ask(chunks(20)[8:10])


def test_after_a_cut_chunks_are_asked_for_again_in_order_one_by_one_in_slices() -> None:
    window, _ = windows.plan(begun(20), 0.0)
    window, now_s = windows.cut(windows.received(window, chunks(20)[0], 0.01)), 5.0
    for chunk in chunks(20)[1 : 1 + TORN_CHUNKS]:
        window, order = windows.plan(window, now_s)
        assert order == Ask((chunk,), sliced=True)
        now_s += 0.1
        window = windows.received(window, chunk, now_s)
    assert windows.plan(window, now_s)[1] == Ask(chunks(20)[9:13])


def test_where_a_slice_does_not_come_the_whole_chunk_is_asked_for_alone() -> None:
    window, _ = windows.plan(windows.cut(begun(20)), 0.0)
    window, order = windows.plan(window, PATIENCE.first_timeout_s)
    assert order == Ask(chunks(20)[:1])
    window = windows.received(window, chunks(20)[0], 11.0)
    assert windows.plan(window, 11.0)[1] == Ask(chunks(20)[1:2], sliced=True)


def test_slices_of_something_else_are_not_asked_for_twice() -> None:
    window, _ = windows.plan(windows.cut(begun(1)), 0.0)
    window = windows.refused(window, chunks(1)[0], 1.0)
    assert windows.plan(window, 1.0 + PATIENCE.refusal_delay_s)[1] == Ask(chunks(1))


def test_a_slice_that_came_puts_the_deadline_off() -> None:
    window, _ = windows.plan(windows.cut(begun(1)), 0.0)
    window = windows.heard(window, 9.0)
    assert windows.plan(window, 11.0)[1] == Wait(9.0 + PATIENCE.first_timeout_s)


@pytest.mark.parametrize(("cuts", "limit"), [(0, 8), (1, 4), (2, 2), (3, 1), (9, 1)])
def test_the_window_never_closes(cuts: int, limit: int) -> None:
    window = begun(20)
    for _ in range(cuts):
        window = windows.cut(window)
    assert window.limit == limit


@pytest.mark.parametrize(
    ("round_trip_s", "came", "limit"),
    [
        (LONG_ROUND_TRIP_S / 10, 200, FIRST_LIMIT),  # more under way gains nothing
        (LONG_ROUND_TRIP_S * 2, 200, LIMIT_MAX),
        (LONG_ROUND_TRIP_S * 2, 8, FIRST_LIMIT + 1),
    ],
)
def test_it_grows_beyond_its_first_size_only_where_the_round_trip_is_long(
    round_trip_s: float, came: int, limit: int
) -> None:
    window, _ = run_dry(begun(came), 0.0, round_trip_s)
    assert window.limit == limit


def test_after_a_cut_it_is_restored_by_as_many_chunks_as_it_lost_when_some_have_come_in_peace() -> None:
    window = windows.cut(begun(40))
    for chunk in chunks(40)[: TORN_CHUNKS + FIRST_LIMIT - FIRST_LIMIT // 2]:
        assert window.limit < FIRST_LIMIT
        window, _ = windows.plan(window, 0.0)
        window = windows.received(window, chunk, 0.01)
    assert window.limit == FIRST_LIMIT


def test_silence_halves_the_window_once_and_asks_again() -> None:
    window, _ = windows.plan(begun(20), 0.0)
    window, order = windows.plan(window, PATIENCE.first_timeout_s)
    assert order == Ask(chunks(20)[:4])
    assert window.limit == 4


def test_while_others_arrive_a_chunk_is_not_overdue() -> None:
    """On a slow line the last chunk of a window comes long after it was asked for."""
    window, _ = windows.plan(begun(8), 0.0)
    for second, chunk in enumerate(chunks(8), 1):
        at_s = second * 0.9 * PATIENCE.first_timeout_s
        assert not isinstance(windows.plan(window, at_s)[1], Ask)
        window = windows.received(window, chunk, at_s)
    assert windows.plan(window, at_s)[1] == Done()


@pytest.mark.parametrize(
    ("round_trip_s", "expected_s"),
    [(0.001, PATIENCE.timeout_min_s), (1.0, 3.0), (100.0, PATIENCE.timeout_max_s)],
)
def test_the_timeout_follows_the_round_trip_within_its_bounds(round_trip_s: float, expected_s: float) -> None:
    """The first sample counts as smoothed, half of it as deviation: 1 + 4 * 0.5 (RFC 6298, 2.2)."""
    window, _ = windows.plan(begun(2), 0.0)
    window = windows.received(window, chunks(2)[0], round_trip_s)
    assert windows.timeout_s(window, 0) == expected_s


def test_a_chunk_that_was_asked_for_twice_says_nothing_about_the_round_trip() -> None:
    window, _ = windows.plan(begun(1), 0.0)
    window, _ = windows.plan(window, PATIENCE.first_timeout_s)
    window = windows.received(window, chunks(1)[0], PATIENCE.first_timeout_s + 0.001)
    assert window.round_trip is None


def test_a_chunk_that_never_comes_is_given_up_after_as_many_silences_each_longer() -> None:
    window, now_s, waits = begun(1), 0.0, []
    while not isinstance(order := windows.plan(window, now_s)[1], GiveUp):
        window, _ = windows.plan(window, now_s)
        if isinstance(order, Wait):
            waits.append(order.until_s - now_s)
            now_s = order.until_s
    assert order == GiveUp(chunks(1)[0], Lack.SILENT, PATIENCE.silences_max)
    assert waits == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_on_a_known_line_a_dead_link_is_found_out_before_a_chunk_is_given_up() -> None:
    window, _ = windows.plan(begun(2), 0.0)
    window = windows.received(window, chunks(2)[0], 0.001)
    two_keepalives_s = 60.0
    assert sum(windows.timeout_s(window, n) for n in range(PATIENCE.silences_max)) > two_keepalives_s


def test_a_wrong_chunk_is_asked_for_again_later_each_time_and_then_given_up() -> None:
    window, now_s, delays = begun(1), 0.0, []
    for _ in range(PATIENCE.refusals_max):
        window, _ = windows.plan(window, now_s)
        window = windows.refused(window, chunks(1)[0], now_s)
        order = windows.plan(window, now_s)[1]
        assert isinstance(order, Wait)
        delays.append(order.until_s - now_s)
        now_s = order.until_s
    window, _ = windows.plan(window, now_s)
    window = windows.refused(window, chunks(1)[0], now_s)
    assert windows.plan(window, now_s)[1] == GiveUp(chunks(1)[0], Lack.WRONG, PATIENCE.refusals_max + 1)
    assert delays == [2.0, 4.0, 8.0]


def test_a_chunk_in_disgrace_does_not_hold_up_the_others() -> None:
    window, _ = windows.plan(begun(20), 0.0)
    window = windows.refused(window, chunks(20)[0], 0.0)
    assert windows.plan(window, 0.0)[1] == Ask((chunks(20)[8],))


def test_a_chunk_that_comes_after_its_request_was_taken_back_counts() -> None:
    window, _ = windows.plan(begun(3), 0.0)
    window = windows.received(windows.cut(window), chunks(3)[1], 1.0)
    window, order = windows.plan(window, 1.0)
    assert order == Ask(chunks(3)[:1], sliced=True)
    assert waiting(window) == (chunks(3)[2],)


def test_what_nobody_asked_for_changes_nothing() -> None:
    window, _ = windows.plan(begun(3), 0.0)
    stranger = sha256(b"stranger")
    assert windows.received(window, stranger, 1.0) == window
    assert windows.refused(window, stranger, 1.0) == window


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["receive", "receive", "receive", "refuse", "cut", "wait", "linger"]),
        st.integers(0, 39),
    ),
    max_size=120,
)


@given(st.integers(1, 40), ACTS)
def test_whatever_happens_every_chunk_is_in_one_place_and_the_window_is_kept(
    count: int, acts: list[tuple[str, int]]
) -> None:
    window, now_s, had = begun(count), 0.0, set[Digest]()
    for act, pick in acts:
        window, order = windows.plan(window, now_s)
        if isinstance(order, Ask):
            assert 0 < len(order.chunks) <= window.limit
            assert len(window.in_flight) <= window.limit
        window, now_s, got = play(window, order, now_s, act, pick)
        had |= got
        assert 1 <= window.limit <= LIMIT_MAX
        places = [*under_way(window), *waiting(window), *had]
        assert sorted(places) == sorted(chunks(count))


def play(
    window: Window, order: Order, now_s: float, act: str, pick: int
) -> tuple[Window, float, set[Digest]]:
    chosen = under_way(window)[pick % len(window.in_flight)] if window.in_flight else None
    match act, order:
        case "receive", _ if chosen is not None:
            return windows.received(window, chosen, now_s), now_s, {chosen}
        case "refuse", _ if chosen is not None:
            return windows.refused(window, chosen, now_s), now_s, set()
        case "cut", _:
            return windows.cut(window), now_s, set()
        case "wait", Wait(until_s):
            assert until_s > now_s
            return window, until_s, set()
        case _:
            return window, now_s + pick / 10, set()


@given(st.integers(1, 40), st.sets(st.integers(0, 39)), st.integers(0, 3))
def test_a_download_ends_well_or_names_a_chunk_that_cannot_be_had(
    count: int, absent: set[int], cuts: int
) -> None:
    lost = {chunk for n, chunk in enumerate(chunks(count)) if n in absent}
    window, now_s = begun(count), 0.0
    for turn in range(2_000):
        window, order = windows.plan(window, now_s)
        match order:
            case Ask(asked):
                now_s += 0.05
                if turn < cuts:
                    window = windows.cut(window)
                    continue
                for chunk in asked:
                    window = window if chunk in lost else windows.received(window, chunk, now_s)
            case Wait(until_s):
                now_s = until_s
            case GiveUp(chunk):
                assert chunk in lost
                return
            case Done():
                assert not lost
                return
    pytest.fail("the download does not end")
