"""The laws of emission over any stream of predictions, and its words one by one."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.camera.pace import SECOND_NS
from agent.core.telemetry.emission import NOTHING_SURE, Emission, EmissionMode, Rules
from agent.wire.ipc import Predicted
from agent.wire.reports import Ranked, StageLatency
from agent.wire.topics import sha256

AT = datetime(2026, 1, 1, tzinfo=UTC)
LATENCY = StageLatency(capture=0.0, pre=0.0, invoke=0.0, post=0.0, age=0.0)
MODEL, OTHER = sha256(b"model"), sha256(b"other")


def prediction(scores: dict[int, float], manifest: str = MODEL) -> Predicted:
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return Predicted(
        manifest=manifest,
        sequence=0,
        frame="",
        captured_at=AT,
        predictions=tuple(Ranked(index=index, label=str(index), score=score) for index, score in best),
        latency_ms=LATENCY,
        frames=0,
        frames_dropped=0,
    )


@dataclass(frozen=True)
class Step:
    scores: dict[int, float]
    at_ns: int
    told: tuple[Ranked, ...] | None

    @property
    def head(self) -> int | None:
        return self.told[0].index if self.told else None


def play(rules: Rules, stream: list[tuple[dict[int, float], int]]) -> list[Step]:
    """Each frame with its instant, and what was published for it."""
    emission, now_ns, steps = Emission(rules), 0, []
    for scores, gap_ns in stream:
        now_ns += gap_ns
        steps.append(Step(scores, now_ns, emission.judge(prediction(scores), now_ns)))
    return steps


FRAME = st.dictionaries(
    st.integers(0, 3), st.sampled_from([0.0, 0.2, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.9]), min_size=1
)
STREAM = st.lists(st.tuples(FRAME, st.integers(0, 2 * SECOND_NS)), min_size=1, max_size=40)
RULES = st.builds(
    Rules,
    mode=st.sampled_from(EmissionMode),
    at_most_per_s=st.sampled_from([0.0, 0.5, 1.0, 4.0]),
    heartbeat_s=st.sampled_from([0.0, 2.5, 5.0]),
    floor=st.sampled_from([0.0, 0.4, 0.5]),
    hysteresis=st.sampled_from([0.0, 0.1, 0.3]),
    smoothing_frames=st.sampled_from([1, 1, 3]),
)


@given(RULES, STREAM)
def test_no_label_is_published_below_the_floor(
    rules: Rules, stream: list[tuple[dict[int, float], int]]
) -> None:
    assert all(step.told[0].score >= rules.floor for step in play(rules, stream) if step.told)


@given(RULES, STREAM)
def test_over_no_span_is_more_published_than_the_limit_allows(
    rules: Rules, stream: list[tuple[dict[int, float], int]]
) -> None:
    at_ns = [step.at_ns for step in play(rules, stream) if step.told is not None]
    for first, begin_ns in enumerate(at_ns):
        for last, end_ns in enumerate(at_ns[first:], first):
            if rules.at_most_per_s:
                assert last - first + 1 < (end_ns - begin_ns) / SECOND_NS * rules.at_most_per_s + 2


@given(RULES, STREAM)
def test_without_a_limit_no_frame_finds_the_last_publication_older_than_a_heartbeat(
    rules: Rules, stream: list[tuple[dict[int, float], int]]
) -> None:
    last_ns = 0
    for step in play(replace(rules, at_most_per_s=0.0), stream):
        if step.told is not None:
            last_ns = step.at_ns
        if rules.heartbeat_s:
            assert step.at_ns - last_ns < rules.heartbeat_s * SECOND_NS


@given(RULES, STREAM)
def test_on_change_without_a_heartbeat_no_two_publications_in_a_row_say_the_same(
    rules: Rules, stream: list[tuple[dict[int, float], int]]
) -> None:
    steps = play(replace(rules, mode=EmissionMode.CHANGE, heartbeat_s=0.0), stream)
    told = [step for step in steps if step.told is not None]
    assert all(one.head != other.head for one, other in pairwise(told))


@given(RULES, STREAM)
def test_on_change_a_new_label_leads_the_one_before_by_the_hysteresis_unless_that_is_not_sure(
    rules: Rules, stream: list[tuple[dict[int, float], int]]
) -> None:
    rules = replace(rules, mode=EmissionMode.CHANGE, at_most_per_s=0.0, heartbeat_s=0.0, smoothing_frames=1)
    told = [step for step in play(rules, stream) if step.told is not None]
    for one, other in pairwise(told):
        if one.head is not None and other.head is not None:
            before, now = other.scores.get(one.head, 0.0), other.scores[other.head]
            assert now - before >= rules.hysteresis or before < rules.floor


@given(RULES, STREAM)
def test_of_every_frame_each_sure_one_is_published_and_of_unsure_ones_in_a_row_the_first(
    rules: Rules, stream: list[tuple[dict[int, float], int]]
) -> None:
    rules = replace(rules, mode=EmissionMode.EVERY, at_most_per_s=0.0, heartbeat_s=0.0, smoothing_frames=1)
    sure_before = True
    for step in play(rules, stream):
        sure = max(step.scores.values()) >= rules.floor
        if sure:
            assert step.told == prediction(step.scores).predictions
        else:
            assert step.told == (NOTHING_SURE if sure_before else None)
        sure_before = sure


@given(STREAM)
def test_by_default_every_ranking_is_published_as_it_is(stream: list[tuple[dict[int, float], int]]) -> None:
    assert all(step.told == prediction(step.scores).predictions for step in play(Rules(), stream))


@given(RULES, STREAM)
def test_what_is_published_holds_the_same_classes_once_each_and_is_in_order_behind_its_head(
    rules: Rules, stream: list[tuple[dict[int, float], int]]
) -> None:
    for step in play(rules, stream):
        if step.told:
            assert len({each.index for each in step.told}) == len(step.told)
            tail = [each.score for each in step.told[1:]]
            assert tail == sorted(tail, reverse=True)


CHANGE = Rules(mode=EmissionMode.CHANGE, floor=0.5, hysteresis=0.2)


@pytest.mark.parametrize(
    ("said", "frames", "heads"),
    [
        ("a label that goes on is not repeated", [{0: 0.9}, {0: 0.8}, {0: 0.7}], [0]),
        ("a new one must lead", [{0: 0.6}, {1: 0.7, 0: 0.6}, {1: 0.8, 0: 0.6}], [0, 1]),
        ("one that flickers around the other is kept out", [{0: 0.6}, {1: 0.65, 0: 0.6}, {0: 0.6}], [0]),
        ("nothing sure is said once", [{0: 0.9}, {0: 0.1}, {1: 0.2}, {0: 0.1}], [0, None]),
        ("a label a little below the floor is held silently", [{0: 0.9}, {0: 0.35}, {0: 0.6}], [0]),
        ("well below it is nothing sure", [{0: 0.9}, {0: 0.25}, {0: 0.6}], [0, None, 0]),
        ("who is sure beats who is not, by however little", [{0: 0.6}, {1: 0.51, 0: 0.49}], [0, 1]),
        ("nothing sure from the first", [{0: 0.1}, {0: 0.2}], [None]),
        ("a ranking of none is nothing sure", [{}, {}], [None]),
    ],
)
def test_on_change(said: str, frames: list[dict[int, float]], heads: list[int | None]) -> None:
    del said
    steps = play(CHANGE, [(frame, 0) for frame in frames])
    assert [step.head for step in steps if step.told is not None] == heads


def test_a_heartbeat_of_a_held_label_below_the_floor_says_nothing_sure() -> None:
    rules = replace(CHANGE, heartbeat_s=10.0)
    steps = play(rules, [({0: 0.9}, 0), ({0: 0.4}, 5 * SECOND_NS), ({0: 0.4}, 5 * SECOND_NS)])
    assert [step.told for step in steps[1:]] == [None, NOTHING_SURE]


def test_of_what_the_limit_held_back_the_newest_is_published() -> None:
    rules = replace(CHANGE, at_most_per_s=1.0)
    tenth = SECOND_NS // 10
    steps = play(
        rules,
        [({0: 0.9}, 0), ({1: 0.9}, tenth), ({2: 0.9}, tenth), ({2: 0.8}, SECOND_NS), ({2: 0.7}, SECOND_NS)],
    )
    assert [step.head for step in steps if step.told is not None] == [0, 2]
    assert steps[3].told is not None


def test_a_change_that_was_taken_back_before_the_limit_allowed_it_is_not_published() -> None:
    rules = replace(CHANGE, at_most_per_s=1.0)
    steps = play(rules, [({0: 0.9}, 0), ({1: 0.9}, 1), ({0: 0.9}, 1), ({0: 0.9}, 2 * SECOND_NS)])
    assert [step.told is not None for step in steps] == [True, False, False, False]


def test_a_held_label_heads_what_a_heartbeat_publishes_though_another_has_a_little_more() -> None:
    rules = replace(CHANGE, heartbeat_s=1.0)
    steps = play(rules, [({0: 0.7}, 0), ({1: 0.75, 0: 0.7, 2: 0.1}, SECOND_NS)])
    assert steps[1].told is not None
    assert [each.index for each in steps[1].told] == [0, 1, 2]


def test_one_odd_frame_changes_nothing_where_scores_are_averaged() -> None:
    rules = replace(CHANGE, smoothing_frames=5, hysteresis=0.1)
    odd = [({0: 0.9}, 0)] * 4 + [({1: 0.9, 0: 0.05}, 0)] + [({0: 0.9}, 0)] * 4
    assert [step.head for step in play(rules, odd) if step.told is not None] == [0]
    lasting = [({0: 0.9}, 0)] * 4 + [({1: 0.9, 0: 0.05}, 0)] * 4
    assert [step.head for step in play(rules, lasting) if step.told is not None][-1] == 1


def test_the_first_frame_of_another_model_is_published_and_averaged_with_no_other() -> None:
    emission = Emission(replace(CHANGE, smoothing_frames=10))
    for _ in range(10):
        emission.judge(prediction({0: 0.9}), 0)
    assert emission.judge(prediction({0: 0.6}, OTHER), 0) == prediction({0: 0.6}).predictions
    assert emission.judge(prediction({0: 0.6}, OTHER), 0) is None
