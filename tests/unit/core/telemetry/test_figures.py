import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.telemetry.families import BOUNDS_S, Tally
from agent.core.telemetry.figures import LABELS_MAX, OTHERS, About, Figures, families
from agent.wire.topics import DeviceId
from tests.fakes.figures import measured, report
from tests.fakes.windows import sketch, window


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0, 60_000.0), max_size=50))
def test_buckets_count_what_was_no_longer_than_their_bound(ms):
    tally = Tally()
    tally.add(sketch(*ms))
    told = tally.buckets({})
    assert told.counts[-1] == len(ms)
    assert told.sum_s == pytest.approx(sum(ms) / 1e3)
    assert list(told.counts) == sorted(told.counts)
    for bound, n in zip(BOUNDS_S, told.counts, strict=False):
        # A bin counts durations that lie within 1 % of each other.
        assert (
            sum(each / 1e3 <= bound * 0.98 for each in ms)
            <= n
            <= sum(each / 1e3 <= bound * 1.02 for each in ms)
        )


def test_of_thousands_of_labels_few_have_a_series_and_no_frame_is_lost():
    told = Figures("main", report())
    for n in range(2_000):
        told.measured(window(1.0, number=n, classes={f"label {n}": 1}))
    told.measured(window(1.0, classes={"": 1}))
    assert len(told.labels) == LABELS_MAX + 1
    assert told.labels[OTHERS] == 2_001 - LABELS_MAX


def test_a_device_that_has_measured_nothing_yet_tells_what_it_is():
    about = About(device=DeviceId("pi"), agent="0.1.0", broker_up=None)
    told = {family.name: family for family in families(about, [Figures("main")])}
    assert "shoal_broker_up" not in told
    assert told["shoal_agent"].samples[0].labels["device"] == "pi"
    assert told["shoal_model"].samples == ()
    assert told["shoal_frames"].samples[0].value == 0.0
    assert "shoal_soc_temperature_celsius" not in told


def test_a_host_that_does_not_tell_its_temperature_has_no_such_sample():
    about = About(device=DeviceId("pi"), agent="0.1.0", broker_up=True)
    told = measured()
    told.measured(window(1.0, number=99, soc_c=None))
    found = {family.name: family for family in families(about, [told])}
    assert found["shoal_soc_temperature_celsius"].samples == ()
    assert found["shoal_outbox_messages"].samples[0].value == 0.0
