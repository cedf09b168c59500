import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.update.cohort import (
    EVERYBODY,
    NOBODY,
    belongs,
    cut_of,
    exact_cut,
    fraction_cut,
    position,
    start_delay_s,
)
from agent.wire.topics import DeviceId

VECTORS = json.loads((Path(__file__).parents[3] / "golden" / "cohort.json").read_text(encoding="utf-8"))

IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12).map(DeviceId)
FLEETS = st.lists(IDS, unique=True, max_size=60)
SALTS = st.text(max_size=8)


def fleet(size: int) -> list[DeviceId]:
    return [DeviceId(f"pi-{number}") for number in range(size)]


def members(cut: str, salt: str, devices: list[DeviceId]) -> set[DeviceId]:
    return {device for device in devices if belongs({"*": cut}, "cpu", salt, device)}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["device"])
def test_positions_are_those_of_sha256sum(vector):
    """The vectors were made with `printf 'salt\\ndevice' | sha256sum | cut -c1-16`."""
    assert f"{position(vector['salt'], vector['device']):016x}" == vector["position"]


@given(SALTS, FLEETS, st.integers(-1, 61))
def test_an_exact_cut_takes_exactly_so_many(salt, devices, k):
    assert len(members(exact_cut(salt, devices, k), salt, devices)) == min(max(k, 0), len(devices))


@pytest.mark.parametrize(("size", "k"), [(3, 1), (10, 1), (20, 1), (1000, 10), (1000, 50)])
def test_a_small_share_of_a_fleet_is_never_nobody(size, k):
    devices = fleet(size)
    assert {len(members(exact_cut(f"salt {n}", devices, k), f"salt {n}", devices)) for n in range(25)} == {k}


@given(SALTS, FLEETS, st.integers(0, 60), st.integers(0, 60))
def test_waves_with_one_salt_nest(salt, devices, one, other):
    inner, outer = sorted([one, other])
    first = members(exact_cut(salt, devices, inner), salt, devices)
    assert first <= members(exact_cut(salt, devices, outer), salt, devices)


@given(SALTS, IDS, st.floats(0, 1), st.floats(0, 1))
def test_shares_with_one_salt_nest(salt, device, one, other):
    inner, outer = sorted([one, other])
    assert members(fraction_cut(inner), salt, [device]) <= members(fraction_cut(outer), salt, [device])


def test_another_salt_chooses_others():
    devices = fleet(1000)
    first, second = (members(exact_cut(salt, devices, 10), salt, devices) for salt in ("one", "two"))
    assert len(first & second) < 5


@given(SALTS, FLEETS)
def test_the_cut_of_nobody_takes_nobody_and_that_of_everybody_all(salt, devices):
    assert members(NOBODY, salt, devices) == set()
    assert members(EVERYBODY, salt, devices) == set(devices)


@given(SALTS, IDS)
def test_a_device_exactly_at_the_cut_is_outside(salt, device):
    place = position(salt, device)
    assert members(f"{place:016x}", salt, [device]) == set()
    assert members(f"{place + 1:016x}", salt, [device]) == {device}


@pytest.mark.parametrize("share", [0.05, 0.25, 0.8])
def test_a_share_takes_about_that_share(share):
    """10,000 coins: five standard deviations are 2.5 % at most."""
    devices = fleet(10_000)
    assert len(members(fraction_cut(share), "salt", devices)) / 10_000 == pytest.approx(share, abs=0.025)


@pytest.mark.parametrize(
    ("share", "cut"), [(0.0, NOBODY), (0.5, "8" + "0" * 15), (1.0, EVERYBODY), (2.0**-64, "0" * 15 + "1")]
)
def test_a_share_becomes_a_cut_in_hexadecimal(share, cut):
    assert fraction_cut(share) == cut


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match="outside"):
        fraction_cut(share)


@pytest.mark.parametrize(
    ("cuts", "cut"),
    [
        ({"edgetpu": "8" + "0" * 15, "*": EVERYBODY}, 2**63),
        ({"*": EVERYBODY}, 2**64),
        ({"cpu": EVERYBODY}, 0),
        ({}, 0),
    ],
)
def test_a_hardware_class_has_its_own_cut_or_that_of_the_others_or_none(cuts, cut):
    assert cut_of(cuts, "edgetpu") == cut


@given(SALTS, IDS, st.floats(1e-3, 1e6))
def test_a_device_starts_within_the_spread(salt, device, spread_s):
    assert 0.0 <= start_delay_s(salt, device, spread_s) < spread_s


def test_the_devices_of_an_early_wave_still_start_all_over_the_spread():
    """Their positions are all small, so the delay must not follow from the position."""
    devices = fleet(2_000)
    early = members(exact_cut("salt", devices, 100), "salt", devices)
    delays = sorted(start_delay_s("salt", device, 600.0) for device in early)
    assert delays[0] < 60.0
    assert delays[50] == pytest.approx(300.0, abs=100.0)
    assert delays[-1] > 540.0
