import pytest
from msgspec.structs import replace

from agent.core.serving.progress import (
    FAILURES_MAX,
    PATIENCE_S,
    Facts,
    Feed,
    Starve,
    Strand,
    declared,
    judge,
    ready,
    status,
)
from agent.wire.reasons import Reason
from agent.wire.reports import CameraReport, CameraState, Phase, Report, Running
from agent.wire.topics import DeviceId, Digest
from tests.fakes.clock import FakeClock

NOW_S = 1_000.0
LONG_AGO_S = NOW_S - PATIENCE_S - 1
DIGEST = Digest("0" * 64)
SERVING = Report(
    device=DeviceId("pi"),
    at=FakeClock().now(),
    phase=Phase.IDLE,
    active=Running(name="cats", version="1.2", manifest=DIGEST, digest=DIGEST, delegate="xnnpack"),
)
EMPTY = replace(SERVING, active=None)


def strand(report: Report | None = SERVING, stirred_s: float = LONG_AGO_S, name="main", **known) -> Strand:
    return Strand(name=name, report=report, stirred_s=stirred_s, **known)


def facts(*strands: Strand, link_alive: bool = True) -> Facts:
    return Facts(strands=strands, link_alive=link_alive)


def with_camera(state: CameraState) -> Report:
    return replace(SERVING, camera=CameraReport(state=state))


@pytest.mark.parametrize(
    ("of", "fed"),
    [
        (strand(stirred_s=NOW_S), True),
        (strand(stirred_s=NOW_S - PATIENCE_S), True),
        (strand(), False),
        (strand(predicted=True), False),
        (strand(slack_s=1.0), True),
        (strand(slack_s=0.5), False),
        (strand(failures=FAILURES_MAX), False),
        (strand(None), False),
        (strand(None, stirred_s=NOW_S), True),
        (strand(EMPTY), True),
        (strand(replace(EMPTY, phase=Phase.HELD, reason=Reason.NO_PLAN)), True),
        (strand(replace(SERVING, phase=Phase.PROBATION)), False),
        (strand(replace(SERVING, paused=True)), True),
        (strand(with_camera(CameraState.LOST)), True),
        (strand(with_camera(CameraState.BUSY)), True),
        (strand(with_camera(CameraState.FROZEN)), True),
        (strand(with_camera(CameraState.LIVE)), False),
        (strand(with_camera(CameraState.OPENING)), False),
        (strand(with_camera(CameraState.BLACK)), False),
        (strand(with_camera(CameraState.SLOW)), False),
    ],
)
def test_the_watchdog_is_fed_while_a_pipeline_stirs_or_says_why_it_does_not(of, fed):
    assert isinstance(judge(facts(of), NOW_S), Feed) is fed


def test_one_stuck_pipeline_starves_the_watchdog_and_is_named():
    verdict = judge(facts(strand(stirred_s=NOW_S), strand(name="yard")), NOW_S)
    assert isinstance(verdict, Starve)
    assert "yard" in verdict.reason
    assert "91 s" in verdict.reason


def test_a_link_without_its_thread_starves_the_watchdog():
    assert isinstance(judge(facts(strand(stirred_s=NOW_S), link_alive=False), NOW_S), Starve)


@pytest.mark.parametrize(
    ("strands", "is_ready"),
    [
        ([strand()], False),
        ([strand(None)], False),
        ([strand(predicted=True)], True),
        ([strand(EMPTY)], True),
        ([strand(with_camera(CameraState.LOST))], True),
        ([strand(with_camera(CameraState.OPENING))], False),
        ([strand(failures=FAILURES_MAX - 1)], False),
        ([strand(failures=FAILURES_MAX)], True),
        ([strand(predicted=True), strand(name="yard")], False),
        ([strand(predicted=True), strand(EMPTY, name="yard")], True),
    ],
)
def test_the_service_is_ready_once_every_pipeline_predicted_or_declared_itself(strands, is_ready):
    assert ready(facts(*strands)) is is_ready


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (strand(None), "starting"),
        (strand(), "cats 1.2 on xnnpack"),
        (strand(p95_ms=41.6), "cats 1.2 on xnnpack, p95 42 ms"),
        (strand(replace(SERVING, phase=Phase.PROBATION)), "cats 1.2 on xnnpack, probation"),
        (strand(with_camera(CameraState.LOST)), "cats 1.2 on xnnpack, camera lost"),
        (strand(replace(SERVING, paused=True)), "cats 1.2 on xnnpack, paused"),
        (strand(replace(SERVING, degraded="no Edge TPU")), "cats 1.2 on xnnpack, no Edge TPU"),
        (strand(failures=FAILURES_MAX), "cats 1.2 on xnnpack, worker keeps ending"),
        (strand(EMPTY), "no model yet, idle"),
        (
            strand(replace(EMPTY, phase=Phase.HELD, reason=Reason.NO_PLAN)),
            f"no model yet, held ({Reason.NO_PLAN})",
        ),
    ],
)
def test_the_status_line_says_what_runs_how_fast_and_what_is_wrong(of, text):
    assert status(facts(of)) == text


def test_the_status_line_names_the_pipelines_where_there_are_several():
    assert status(facts(strand(), strand(EMPTY, name="yard"))) == (
        "main: cats 1.2 on xnnpack; yard: no model yet, idle"
    )


def test_whoever_predicts_has_nothing_to_declare():
    assert declared(strand(predicted=True)) == ""
