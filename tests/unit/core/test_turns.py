"""Whose turn it is among several brokers."""

from hypothesis import given
from hypothesis import strategies as st

from agent.core import turns
from agent.core.turns import HOPELESS_ROUND, Turn


def test_a_fleet_spreads_over_its_brokers():
    homes = [turns.begin(f"shoal-{n}", 3).broker for n in range(3_000)]
    assert all(900 < homes.count(broker) < 1_100 for broker in range(3))


def test_it_waits_only_when_all_have_failed_and_longer_each_round():
    turn, pauses = Turn(3, 1), []
    for _ in range(7):
        turn = turns.failed(turn)
        pauses.append((turn.broker, turn.pause))
    assert pauses == [(2, None), (0, None), (1, 0), (2, None), (0, None), (1, 1), (2, None)]


def test_it_comes_back_to_the_broker_that_worked_first():
    turn = turns.lost(turns.failed(Turn(2, 0)), steady=True)
    assert (turn.broker, turn.pause) == (1, 0)
    assert turns.failed(turn).broker == 0


def test_a_broker_that_throws_it_out_at_once_is_left_and_the_delays_stay_short():
    turn, pauses = Turn(2, 0), []
    for _ in range(6):
        turn = turns.lost(turn, steady=False)
        pauses.append((turn.broker, turn.pause))
    assert pauses == [(1, 0), (0, 1), (1, 2), (0, 2), (1, 2), (0, 2)]


def test_what_a_person_must_mend_is_waited_for_long_unless_another_broker_may_take_it():
    one = turns.failed(turns.failed(Turn(2, 0), hopeless=True))
    all_of_them = turns.failed(turns.failed(Turn(2, 0), hopeless=True), hopeless=True)
    assert (one.pause, all_of_them.pause) == (0, HOPELESS_ROUND)


@given(st.integers(1, 5), st.lists(st.sampled_from(["failed", "hopeless", "steady", "unsteady"])))
def test_every_broker_has_its_turn_between_two_pauses_of_failures(brokers, story):
    turn, tried = turns.begin("shoal-1", brokers), []
    for event in story:
        tried.append(turn.broker)
        if event in {"failed", "hopeless"}:
            turn = turns.failed(turn, hopeless=event == "hopeless")
            if turn.pause is not None:
                assert sorted(tried[-brokers:]) == list(range(brokers))
        else:
            turn = turns.lost(turn, steady=event == "steady")
