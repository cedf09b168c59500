import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.camera.pace import SECOND_NS
from agent.core.telemetry.vitals import (
    CALM_S,
    CpuTime,
    Gauges,
    HotRule,
    Strain,
    Turn,
    Watch,
    cpu_share,
    throttling,
)
from agent.wire.reports import Throttling

READ_S = 2


def watched(*readings: Gauges) -> list[tuple[int, Turn]]:
    """The turns of a trace that is read every two seconds, each with its instant in seconds."""
    watch = Watch(HotRule(at_c=80.0, below_c=72.0))
    return [
        (number * READ_S, turn)
        for number, gauges in enumerate(readings)
        for turn in watch.look(gauges, number * READ_S * SECOND_NS)
    ]


def bits(*values: int | None) -> list[Gauges]:
    return [Gauges(throttled_bits=value) for value in values]


def celsius(*values: float | None) -> list[Gauges]:
    return [Gauges(soc_c=value) for value in values]


CALM = [0x50000] * round(CALM_S / READ_S + 1)


def test_throttling_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    trace = bits(0, 0x40004, 0x40004, 0x40000, 0x40004, *CALM)
    assert watched(*trace) == [
        (2, Turn(Strain.THROTTLED)),
        (10, Turn(Strain.UNDER_VOLTAGE)),
        (18, Turn(Strain.THROTTLED, 6.0)),
        (20, Turn(Strain.UNDER_VOLTAGE, 0.0)),
    ]


@pytest.mark.parametrize("held", [0x2, 0x4, 0x8])
def test_whatever_takes_the_clock_down_is_throttling(held: int) -> None:
    assert watched(*bits(0, held)) == [(2, Turn(Strain.THROTTLED))]


def test_what_rose_since_boot_held_between_two_readings() -> None:
    watch = Watch(HotRule())
    seen = []
    for number, value in enumerate((0x0, 0x40000, 0x40000)):
        watch.look(Gauges(throttled_bits=value), number)
        seen.append(watch.throttled)
    assert seen == [False, True, False]


def test_what_was_before_the_agent_began_is_no_news() -> None:
    assert watched(*bits(0xF0000, 0xF0000)) == []


def test_bits_that_a_driver_clears_after_reading_are_kept_and_rise_anew() -> None:
    watch = Watch(HotRule())
    throttled = []
    for number, value in enumerate((0x0, 0x10000, 0x0, 0x40000, 0x0, 0x40000)):
        watch.look(Gauges(throttled_bits=value), number)
        throttled.append(watch.throttled)
    assert throttled == [False, False, False, True, False, True]
    assert watch.now == Throttling()
    assert watch.since_boot == Throttling(under_voltage=True, throttled=True)


def test_a_host_without_the_bits_says_nothing_of_them() -> None:
    watch = Watch(HotRule())
    assert watch.look(Gauges(), 0) == ()
    assert (watch.now, watch.since_boot, watch.throttled) == (None, None, False)


def test_a_spell_whose_sensor_goes_ends_calmly() -> None:
    assert watched(*bits(4, *[None] * 6)) == [(0, Turn(Strain.THROTTLED)), (10, Turn(Strain.THROTTLED, 0.0))]


@pytest.mark.parametrize(
    ("trace", "turns"),
    [
        ([79.9, 79.9], []),
        ([80.0, 85.0, 75.0, 72.0, 71.9], [(0, Turn(Strain.HOT)), (8, Turn(Strain.HOT, 8.0))]),
        ([80.0, None, None, 60.0], [(0, Turn(Strain.HOT)), (6, Turn(Strain.HOT, 6.0))]),
        ([80.0, 73.0, 80.0, 73.0], [(0, Turn(Strain.HOT))]),
    ],
)
def test_heat_has_two_thresholds(trace: list[float | None], turns: list[tuple[int, Turn]]) -> None:
    assert watched(*celsius(*trace)) == turns


@given(st.lists(st.one_of(st.none(), st.integers(0, 0xF)), max_size=60))
def test_beginnings_and_ends_alternate_and_no_spell_is_longer_than_the_trace(
    values: list[int | None],
) -> None:
    turns = [turn for _, turn in watched(*bits(*values))]
    for strain in Strain:
        lasted = [turn.lasted_s for turn in turns if turn.strain is strain]
        assert all(begun is None for begun in lasted[::2])
        assert all(ended is not None and 0 <= ended <= len(values) * READ_S for ended in lasted[1::2])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0x0, Throttling()),
        (0x5, Throttling(under_voltage=True, throttled=True)),
        (0x50000, Throttling()),
        (0xA, Throttling(frequency_capped=True, soft_limit=True)),
    ],
)
def test_the_four_lowest_bits_have_names(value: int, found: Throttling) -> None:
    assert throttling(value) == found


@pytest.mark.parametrize(
    ("begin", "end", "share"),
    [
        (CpuTime(10, 100), CpuTime(35, 200), 0.25),
        (CpuTime(10, 100), CpuTime(10, 100), None),
        (None, CpuTime(10, 100), None),
        (CpuTime(10, 100), None, None),
        (CpuTime(10, 100), CpuTime(9, 200), 0.0),
    ],
)
def test_the_share_of_the_cpu_lies_between_two_readings(
    begin: CpuTime | None, end: CpuTime | None, share: float | None
) -> None:
    assert cpu_share(begin, end) == share
