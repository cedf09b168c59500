from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.telemetry.latency import merge, quantile
from deploy.core.page.series import REST
from deploy.core.page.series_sums import (
    LABELS_MAX,
    PLACES_MAX,
    STRANGERS_MAX,
    Answered,
    Known,
    Place,
    Sums,
    pack,
    unpack,
)
from tests.fakes.windows import sketch, window

durations = st.lists(st.floats(0.0, 3.6e6), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None)
@given(st.lists(durations, min_size=1, max_size=5))
def test_windows_are_summed_as_if_one_device_had_measured_all(of_windows):
    sums = Sums()
    for number, ms in enumerate(of_windows):
        sums.add(window(*ms, number=number))
    [(place, _, summed)] = [each for each in sums.sketches() if each[1] == "invoke"]
    meant = merge([sketch(*ms) for ms in of_windows])
    assert place == Place("cats@1", "rpi5/xnnpack")
    assert (summed.count, summed.min, summed.max) == (meant.count, meant.min, meant.max)
    for share in (0.0, 0.5, 0.95, 1.0):
        # What is shorter than 0.001 ms counts as nothing.
        assert abs(quantile(summed, share) - quantile(meant, share)) <= 0.001


@settings(max_examples=25, deadline=None)
@given(durations)
def test_what_is_packed_is_unpacked(ms):
    sums = Sums()
    sums.add(window(*ms))
    for _, _, histogram in sums.sketches():
        assert unpack(pack(histogram)) == histogram


def test_a_sketch_of_a_camera_takes_a_few_hundred_bytes_and_the_widest_some_thousand():
    usual = sketch(*(20.0 + n % 17 for n in range(600)))
    widest = sketch(*(0.001 * 1.0203**n for n in range(1_080)))
    assert len(pack(usual)) < 200
    assert len(pack(widest)) < 1_500


def test_percentiles_of_a_fleet_are_not_the_mean_of_its_devices():
    sums = Sums()
    for number in range(9):
        sums.add(window(*[10.0] * 100, number=number))
    sums.add(window(*[500.0] * 100, number=9))
    [summed] = [histogram for _, stage, histogram in sums.sketches() if stage == "invoke"]
    assert abs(quantile(summed, 0.5) - 10.0) < 0.2
    assert abs(quantile(summed, 0.95) - 500.0) < 6.0


def test_releases_and_hardware_beyond_the_bound_are_counted_together():
    sums = Sums()
    for number in range(100):
        sums.add(window(1.0, 2.0, number=number, release=f"m@{number}"))
    assert len(sums.piles) == PLACES_MAX + 1
    assert sum(h.count for _, stage, h in sums.sketches() if stage == "invoke") == 200
    assert Place(REST, REST) in sums.piles


def test_a_device_that_invents_releases_takes_no_place_of_a_real_one():
    known = {f"real@{number}" for number in range(8)}
    sums = Sums()
    for number in range(100):
        sums.add(window(release=f"invented@{number}", number=number), Known(known))
    for release in sorted(known):
        sums.add(window(release=release), Known(known))
    found = {place.release for place in sums.piles}
    assert known < found
    assert len(found - known) == STRANGERS_MAX + 1


def test_a_device_that_invents_hardware_takes_one_place_of_its_release():
    known, sums = Known({"cats@1"}, {"rpi4", "rpi5"}), Sums()
    for number in range(100):
        sums.add(window(number=number, hardware=f"invented-{number}"), known)
        sums.add(window(number=number, delegate=f"invented-{number}"), known)
    for hardware in ("rpi4", "rpi5"):
        sums.add(window(hardware=hardware), known)
    assert {*sums.piles} == {Place("cats@1", each) for each in (REST, "rpi4/xnnpack", "rpi5/xnnpack")}


def test_labels_beyond_the_bound_are_counted_together_and_none_is_lost():
    answered = Answered()
    for n in range(LABELS_MAX + 50):
        answered.add(Answered(labels={f"label {n}": 2}))
    assert len(answered.labels) == LABELS_MAX + 1
    assert answered.labels[REST] == 100


def test_what_was_put_back_is_merged():
    one, other = Sums(), Sums()
    one.add(window(1.0, number=1))
    other.add(window(3.0, number=2, classes={"dog": 1}))
    one.merge(other)
    assert one.answers["cats@1"].labels == {"cat": 1, "dog": 1}
    assert one.answers["cats@1"].windows == 2
    assert {h.count for _, _, h in one.sketches()} == {2}
