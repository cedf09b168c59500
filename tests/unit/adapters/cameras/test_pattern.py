import itertools

from agent.adapters.cameras.pattern import STEPS, PatternCamera
from tests.fakes.clock import FakeClock


def test_the_pattern_moves_from_frame_to_frame_and_comes_round() -> None:
    camera = PatternCamera(48, 64, 0.0, FakeClock())
    camera.open()
    frames = [camera.read() for _ in range(STEPS + 1)]
    assert all((a.pixels != b.pixels).any() for a, b in itertools.pairwise(frames))
    assert (frames[0].pixels == frames[STEPS].pixels).all()
