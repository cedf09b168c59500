import pytest

from agent.wire import codec
from agent.wire.topics import TELEMETRY, DeviceId, Root
from deploy.core.page.series_gathering import TALLIES_MAX, Gathering
from tests.fakes.windows import window

ROOT = Root("shoal/home")
TOPIC = ROOT.device(TELEMETRY, DeviceId("pi"))


def taken(*windows):
    gathering = Gathering(ROOT)
    for told in windows:
        gathering.take(TOPIC, codec.encode(told), 60)
    return gathering


@pytest.mark.parametrize(
    ("seconds", "missing"),
    [
        ((0, 10, 20), 0),
        ((0, 10, 40), 2),
        ((0, 12, 25), 0),
        ((0, 10, 10, 20), 0),
        ((0, 30, 20, 50), 3),
        ((0, 310), 30),
        ((0, 320), 0),
        ((5_000, 10, 20), 0),
    ],
)
def test_windows_that_lie_between_those_that_came_are_missing(seconds, missing):
    collected = taken(*(window(number=second) for second in seconds)).collected()
    assert collected.missing == missing


def test_a_window_that_claims_no_length_makes_none_miss():
    assert taken(window(number=0), window(number=9, window_s=1e-9)).collected().missing == 0


def test_a_release_of_a_later_year_has_figures_and_the_number_of_series_stays():
    gathering = Gathering(ROOT)
    for n in range(60):
        gathering.take(TOPIC, codec.encode(window(number=10 * n, release=f"cats@{n}")), 60 * n)
        gathering.take(TOPIC, codec.encode(window(number=10 * n + 5, release="old@1")), 60 * n)
        gathering.kept(gathering.waiting())
    told = next(family for family in gathering.families() if family.name == "shoal_fleet_latency_seconds")
    counts = {(each.labels["release"], each.labels["stage"]): each.counts[-1] for each in told.buckets}
    assert len(told.buckets) == TALLIES_MAX
    assert counts["cats@59", "invoke"] == 1
    assert counts["old@1", "invoke"] == 60
