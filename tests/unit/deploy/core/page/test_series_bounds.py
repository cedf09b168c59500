from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from agent.wire import codec
from agent.wire.topics import TELEMETRY, DeviceId, Root
from deploy.core.page.series_bounds import Absurd, Fault, require
from deploy.core.page.series_devices import PIPELINES_MAX, POINTS_KEPT, WINDOWS_A_MINUTE_MAX
from deploy.core.page.series_gathering import MINUTES_WAITING_MAX, Gathering
from tests.fakes.windows import sketch, window

ROOT = Root("shoal/home")
NOW = 1_790_000_040
TWENTY = sketch(20.0)


def histograms(**changes):
    return {"histogram_ms": {"invoke": replace(TWENTY, **changes)}}


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        (Fault.COUNTS, {"window_s": 1e300}),
        (Fault.COUNTS, {"window_s": -1.0}),
        (Fault.COUNTS, {"frames": 2**53}),
        (Fault.COUNTS, {"errors": 10**9}),
        (Fault.COUNTS, {"fps": 1e300}),
        (Fault.DURATIONS, histograms(count=7)),
        (Fault.DURATIONS, histograms(relative_accuracy=0.02)),
        (Fault.DURATIONS, histograms(sum=1e300)),
        (Fault.DURATIONS, histograms(sum=-20.0)),
        (Fault.DURATIONS, histograms(max=1e300)),
        (Fault.DURATIONS, histograms(min=30.0)),
        (Fault.DURATIONS, histograms(bins={2**53: 1})),
        (Fault.DURATIONS, histograms(bins={150: 10**9}, count=10**9)),
        (Fault.CLASSES, {"classes": {f"{n}": 0 for n in range(1_000)}}),
        (Fault.CLASSES, {"classes": {"cat": 2}}),
        (Fault.CLASSES, {"classes": {"c" * 65: 1}}),
        (Fault.CLASSES, {"confidence": (1,)}),
        (Fault.CLASSES, {"confidence": (*(0,) * 19, 5)}),
        (Fault.NAMES, {"model": "cats\nof\nmine"}),
        (Fault.NAMES, {"hardware": "x" * 65}),
    ],
)
def test_what_no_device_could_have_measured_is_refused_and_counted(fault, changes):
    told = replace(window(20.0), **changes)
    with pytest.raises(Absurd) as refused:
        require(told)
    assert refused.value.fault is fault
    gathering = Gathering(ROOT)
    gathering.take(topic("a"), codec.encode(told), NOW)
    assert (gathering.windows, gathering.refused[fault]) == (0, 1)
    assert not gathering.waiting()


@pytest.mark.parametrize(
    "told",
    [
        window(*(0.0, 0.0005, 0.9, 17.0, 3.5e6)),
        window(20.0, histogram_ms={}, predictions=0, classes={}, confidence=()),
        window(20.0, model="", version="", delegate="", hardware=""),
        window(20.0, window_s=0.0),
    ],
)
def test_what_a_device_may_measure_is_taken(told):
    require(told)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"schema":9}', b"[" * 100_000, b"x" * 300_000])
def test_what_is_no_telemetry_is_refused_and_counted(content):
    gathering = Gathering(ROOT)
    gathering.take(topic("a"), content, NOW)
    assert gathering.refused == {Fault.UNREADABLE: 1}


def test_numbers_that_json_has_and_nobody_means_are_refused():
    gathering = Gathering(ROOT)
    content = msgspec.json.encode(window(20.0)).replace(b'"fps":0.1', b'"fps":1e400')
    gathering.take(topic("a"), content, NOW)
    assert gathering.refused.total() == 1


def topic(device, pipeline="main"):
    return ROOT.device(TELEMETRY, DeviceId(device), pipeline)


def sent(gathering, device, told, now=NOW, pipeline="main"):
    gathering.take(topic(device, pipeline), codec.encode(told), now)


def test_a_window_that_comes_again_counts_once():
    gathering = Gathering(ROOT)
    for number in (1, 2, 1, 2, 3):
        sent(gathering, "a", window(number=number))
    sent(gathering, "b", window(number=1))
    assert (gathering.windows, gathering.repeated) == (4, 2)


def test_a_device_with_a_wrong_clock_counts_for_the_minute_in_which_it_came():
    gathering = Gathering(ROOT)
    sent(gathering, "a", window(at=datetime(1970, 1, 1, tzinfo=UTC)))
    sent(gathering, "b", window(at=datetime(2199, 1, 1, tzinfo=UTC)))
    assert list(gathering.waiting()) == [NOW - NOW % 60]


def test_a_device_that_floods_is_heard_as_often_as_one_can_measure():
    gathering = Gathering(ROOT)
    for number in range(WINDOWS_A_MINUTE_MAX + 100):
        sent(gathering, "a", window(number=number))
    assert gathering.windows == WINDOWS_A_MINUTE_MAX
    assert gathering.refused == {Fault.TOO_OFTEN: 100}
    sent(gathering, "a", window(number=9_999), NOW + 60)
    assert gathering.windows == WINDOWS_A_MINUTE_MAX + 1


def test_a_device_has_so_many_pipelines_and_no_more():
    gathering = Gathering(ROOT)
    for n in range(PIPELINES_MAX + 5):
        sent(gathering, "a", window(number=n), pipeline=f"p{n}")
    assert gathering.refused == {Fault.TOO_OFTEN: 5}


def test_while_the_disk_refuses_an_hour_waits():
    gathering = Gathering(ROOT)
    for minute in range(MINUTES_WAITING_MAX + 10):
        sent(gathering, "a", window(number=minute), NOW + 60 * minute)
        gathering.put_back(gathering.waiting())
    waiting = gathering.waiting()
    assert len(waiting) == MINUTES_WAITING_MAX
    assert gathering.minutes_lost == 10
    assert max(waiting) == NOW - NOW % 60 + 60 * (MINUTES_WAITING_MAX + 9)


def test_a_devices_newest_windows_are_told_in_columns():
    gathering = Gathering(ROOT)
    for number in range(POINTS_KEPT + 5):
        soc_c = None if number % 2 else 61.5
        sent(gathering, "a", window(*[20.0] * 5, number=number, soc_c=soc_c), NOW + 10 * number)
    told = gathering.device("a", "main")
    assert len(told.at) == POINTS_KEPT
    assert told.at[-1] == NOW + 10 * (POINTS_KEPT + 4)
    assert list(told.at) == sorted(told.at)
    assert told.soc_c[-2:] == (None, 61.5)
    assert told.invoke_p50_ms[0] == pytest.approx(20.0, rel=0.011)
    assert told.last == window(*[20.0] * 5, number=POINTS_KEPT + 4, soc_c=61.5)


def test_of_a_device_that_was_not_heard_there_is_nothing():
    told = Gathering(ROOT).device("nobody", "main")
    assert (told.at, told.last) == ((), None)
