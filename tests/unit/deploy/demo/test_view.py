"""What the demo shows on a terminal, whatever its size and kind."""

import io
import time

import pytest
from rich.console import Console

from agent.wire.reports import Phase, Prediction, Progress, Ranked, Report, Running, StageLatency
from agent.wire.topics import DeviceId, sha256
from deploy.demo.tally import Tally
from deploy.demo.view import STAGE_WORDS, View, pulling, screen
from tests.fakes.windows import BEGIN, window

DRAWN_WITHIN_S = 30.0
FOOT = 2
"""Lines at most that name the page."""
LATENCY = StageLatency(capture=1.0, pre=2.0, invoke=20.0, post=0.5, age=25.0)
RELEASE = Running(
    name="efficientnet_lite0",
    version="1.1.0",
    manifest=sha256(b"m"),
    digest=sha256(b"d"),
    delegate="xnnpack",
    delegate_reason="full-integer model, not compiled for an Edge TPU: " + "XNNPACK on 1 thread " * 6,
    runtime="ai-edge-litert 2.3.0",
)


def prediction(version="1.1.0"):
    return Prediction(
        at=BEGIN,
        sequence=7,
        frame="german-shepherd.jpg",
        model=RELEASE.name,
        version=version,
        digest=RELEASE.digest,
        delegate="xnnpack",
        predictions=tuple(Ranked(index=k, label=f"a label of its own {k}", score=0.5) for k in range(5)),
        latency_ms=LATENCY,
    )


def told():
    tally = Tally()
    tally.report = Report(device=DeviceId("demo-pi"), at=BEGIN, phase=Phase.IDLE, active=RELEASE)
    tally.predicted(prediction())
    tally.measured(window(20.0, 21.0))
    return tally


def console(columns, lines, **more):
    return Console(file=io.StringIO(), force_terminal=True, width=columns, height=lines, **more)


@pytest.mark.parametrize(("columns", "lines", "story_min"), [(80, 24, 7), (40, 24, 1), (200, 50, 20)])
def test_the_table_leaves_room_for_the_story_and_is_whole(columns, lines, story_min):
    shown = console(columns, lines)
    rows = shown.render_lines(screen(told(), None, shown.size))
    assert len(rows) + FOOT <= lines - story_min
    text = "\n".join("".join(segment.text for segment in row) for row in rows)
    for words in (*(stage for stage, _ in STAGE_WORDS), "a label of its own 0", "xnnpack"):
        assert words in text
    assert all(sum(segment.cell_length for segment in row) <= columns for row in rows)


def test_a_line_of_the_story_takes_nothing_from_the_table_below_it():
    shown = console(40, 24)
    with View(shown) as view:
        view.update(told(), None)
        deadline = time.monotonic() + DRAWN_WITHIN_S
        while "latency" not in shown.file.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        view.say("device: 1.1.0 committed")
    drawn = shown.file.getvalue()
    assert drawn.count("0 frames dropped") == drawn.count("latency, ms") >= 2


@pytest.mark.parametrize(
    "shown",
    [
        Console(file=io.StringIO(), width=80),
        console(80, 24, _environ={"TERM": "dumb"}),
    ],
    ids=["a pipe", "a terminal that cannot move its cursor"],
)
def test_elsewhere_a_line_now_and_then_says_how_it_goes(shown):
    tally = told()
    tally.predictions = 25
    with View(shown) as view:
        view.update(tally, 100)
    said = shown.file.getvalue()
    assert "25/100 predictions  german-shepherd.jpg" in said
    assert said.count("\n") == 1, "not wrapped"


@pytest.mark.parametrize(
    ("done", "total", "words"),
    [
        (3, 5643, "3 B of 5.6 kB"),
        (5643, 5643, "5.6 kB of 5.6 kB"),
        (1_048_576, 6_312_000, "1.0 MB of 6.3 MB"),
    ],
)
def test_a_download_of_any_size_has_figures(done, total, words):
    told = pulling(
        Progress(name="cats", version="1.0.0", manifest=RELEASE.manifest, bytes_done=done, bytes_total=total)
    )
    assert told.endswith(words)


def test_the_last_line_names_what_the_device_runs_and_not_what_it_ran_when_the_counting_ended():
    tally = told()
    tally.predicted(prediction("1.0.0"))
    summary = tally.summary()
    assert (summary["version"], summary["digest"]) == ("1.1.0", RELEASE.digest)


def test_a_demo_that_ends_before_the_device_said_anything_has_a_last_line_too():
    assert Tally().summary()["version"] is None
