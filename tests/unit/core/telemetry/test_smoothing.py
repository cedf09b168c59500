from hypothesis import given
from hypothesis import strategies as st

from agent.core.telemetry.smoothing import Smoother
from agent.wire.reports import Ranked

SCORES = st.dictionaries(st.integers(0, 6), st.floats(0.0, 1.0), min_size=1, max_size=4)


def ranked(scores: dict[int, float]) -> tuple[Ranked, ...]:
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Ranked(index=index, label=f"class-{index}", score=score) for index, score in best)


@given(st.lists(SCORES, min_size=1, max_size=40), st.integers(2, 7))
def test_each_score_is_the_mean_over_the_last_frames_that_counts_an_unranked_class_as_zero(
    frames: list[dict[int, float]], size: int
) -> None:
    smoother = Smoother(size)
    for end, frame in enumerate(frames, 1):
        found = smoother.add(ranked(frame))
        window = frames[max(0, end - size) : end]
        means = {
            index: sum(seen.get(index, 0.0) for seen in window) / len(window)
            for seen in window
            for index in seen
        }
        assert len(found) == len(frame)
        assert all(abs(each.score - means[each.index]) < 1e-9 for each in found)
        assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
        left = set(means) - {each.index for each in found}
        assert all(means[index] <= found[-1].score + 1e-9 for index in left)
        assert all(each.label == f"class-{each.index}" for each in found)


@given(SCORES)
def test_over_one_frame_nothing_is_changed(frame: dict[int, float]) -> None:
    given_ranking = ranked(frame)
    assert Smoother(1).add(given_ranking) is given_ranking


def test_a_scene_that_was_left_leaves_no_trace() -> None:
    smoother = Smoother(3)
    for _ in range(10_000):
        smoother.add(ranked({0: 0.1, 1: 0.7}))
    for _ in range(3):
        found = smoother.add(ranked({2: 1.0}))
    assert found == ranked({2: 1.0})
    assert set(smoother._classes) == {2}
