from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from agent.loops.slot import Latest


@given(st.lists(st.one_of(st.integers(), st.just("take"))))
def test_a_taker_gets_the_freshest_value_and_each_value_once(steps: list[object]) -> None:
    slot: Latest[object] = Latest()
    expected: object = None
    for step in steps:
        if step == "take":
            assert slot.take(0) == expected
            expected = None
        else:
            assert slot.put(step) is (expected is not None)
            expected = step


def test_a_waiting_taker_is_woken_by_a_value() -> None:
    slot: Latest[int] = Latest()
    taken: list[int | None] = []
    taker = Thread(target=lambda: taken.append(slot.take(5.0)))
    taker.start()
    slot.put(7)
    taker.join(5.0)
    assert taken == [7]


def test_a_nudge_ends_one_wait_without_a_value() -> None:
    slot: Latest[int] = Latest()
    slot.nudge()
    assert slot.take(5.0) is None
    slot.nudge()
    slot.put(1)
    assert slot.take(5.0) == 1
    assert slot.take(0) is None
