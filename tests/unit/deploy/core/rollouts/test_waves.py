import random
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.update import admission
from agent.core.update.admission import Admitted, Device, Role
from agent.core.update.cohort import EVERYBODY, NOBODY, OTHERS
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.topics import DeviceId, sha256
from deploy.core.refusal import Refused
from deploy.core.rollouts import sizes, waves
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.state import Rollout
from deploy.core.rollouts.words import Order

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CLASSES = ("cpu", "edgetpu", "pi3")


def ref(version: str) -> ReleaseRef:
    return ReleaseRef(name="birds", version=version, manifest=sha256(version.encode()))


STABLE, CANDIDATE = ref("1"), ref("2")


def order(*of_waves: str, salt: str = "salt", match: tuple[str, ...] = ()) -> Order:
    return Order(
        rollout="birds-2",
        stream="main",
        release=CANDIDATE,
        stable=STABLE,
        files=(CANDIDATE.manifest,),
        waves=of_waves,
        salt=salt,
        match=match,
    )


def seen(name: str, hardware: str = "cpu", **changes) -> Seen:
    return replace(Seen(id=DeviceId(name), hardware=hardware, online=True), **changes)


def picture(*devices: Seen) -> Picture:
    return Picture(at=NOW, devices=tuple(sorted(devices, key=lambda each: each.id)))


def some_fleet(rng: random.Random, count: int) -> Picture:
    weights = [rng.random() for _ in CLASSES]
    kinds = rng.choices(CLASSES, weights, k=count)
    return picture(*(seen(f"pi-{rng.randrange(10**9)}-{n}", kind) for n, kind in enumerate(kinds)))


def chosen(plan: Plan, of: Picture) -> set[DeviceId]:
    """As the devices themselves will find."""
    found = set()
    for each in of.devices:
        device = Device(each.id, each.hardware, "1", frozenset(each.tags))
        match admission.admit(plan, -1, device, clock_trusted=True):
            case Admitted(role=Role.CANDIDATE):
                found.add(each.id)
    return found


@pytest.mark.parametrize(("size", "known", "k"), [
    ("1", 3, 1), ("1", 10, 1), ("1", 20, 1), ("1", 1000, 1),
    ("5%", 3, 1), ("5%", 10, 1), ("5%", 20, 1), ("5%", 1000, 50),
])  # fmt: skip
def test_a_wave_of_k_devices_has_exactly_k_in_every_fleet(size, known, k):
    rng = random.Random(f"{size} {known}")
    for n in range(250 if known < 100 else 40):
        fleet = some_fleet(rng, known)
        plan = waves.plan(Rollout(order(size, salt=f"salt {n}"), NOW), 0, fleet, None)
        assert len(chosen(plan, fleet)) == k


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_waves_nest_and_end_with_everybody(seed, known):
    rng = random.Random(seed)
    fleet, before, previous = some_fleet(rng, known), set(), None
    rollout = Rollout(order("1", "3", "5%", "25%", "30", "100%", salt=str(seed)), NOW)
    for wave in range(6):
        previous = waves.plan(rollout, wave, fleet, previous)
        now = chosen(previous, fleet)
        assert before <= now
        before = now
    assert len(before) == known


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 40), min_size=1))
def test_a_larger_wave_takes_a_place_from_no_class_and_gives_none_more_than_it_has(classes):
    before = dict.fromkeys(classes, 0)
    for k in range(sum(classes.values()) + 1):
        now = waves.dealt(k, classes)
        assert sum(now.values()) == k
        assert all(before[kind] <= now[kind] <= classes[kind] for kind in classes)
        if k >= sum(map(bool, classes.values())):
            assert all(now[kind] for kind in classes if classes[kind])
        before = now
    assert before == classes


def test_another_salt_chooses_other_canaries():
    fleet = some_fleet(random.Random(1), 1000)
    first = Counter(
        device
        for n in range(25)
        for device in chosen(waves.plan(Rollout(order("1", salt=str(n)), NOW), 0, fleet, None), fleet)
    )
    assert len(first) > 15


def test_whoever_joins_later_is_let_in_by_the_share_and_in_the_last_wave_for_certain():
    fleet = picture(*(seen(f"pi-{n}") for n in range(1000)))
    strangers = picture(*(seen(f"late-{n}", "new", known=False) for n in range(4000)))
    rollout = Rollout(order("5%", "100%"), NOW)
    plan = waves.plan(rollout, 0, fleet, None)
    assert len(chosen(plan, strangers)) == pytest.approx(200, rel=0.25)
    assert len(chosen(waves.plan(rollout, 1, fleet, plan), strangers)) == 4000


def test_who_does_not_match_or_was_not_counted_takes_no_place():
    matching = [seen(f"pi-{n}", tags=("line-3",)) for n in range(20)]
    others = [seen(f"other-{n}", tags=("line-4",)) for n in range(200)]
    unknown = [seen(f"new-{n}", tags=("line-3",), known=False) for n in range(200)]
    fleet = picture(*matching, *others, *unknown)
    plan = waves.plan(Rollout(order("10%", match=("tag=line-3",)), NOW), 0, fleet, None)
    assert len(chosen(plan, picture(*matching))) == 2
    assert not chosen(plan, picture(*others))
    assert [each.id for each in waves.members(plan, fleet)] == sorted(chosen(plan, fleet))


def test_a_class_that_was_taken_back_has_no_place_in_any_wave():
    fleet = some_fleet(random.Random(3), 300)
    rollout = Rollout(order("10%", "100%"), NOW, withdrawn=("edgetpu",))
    rest = [each for each in fleet.devices if each.hardware != "edgetpu"]
    first = waves.plan(rollout, 0, fleet, None)
    assert len(chosen(first, fleet)) == -(-len(rest) // 10)
    assert chosen(waves.plan(rollout, 1, fleet, first), fleet) == {each.id for each in rest}


def test_a_fleet_that_shrinks_or_changes_its_classes_takes_nobody_back():
    fleet = some_fleet(random.Random(5), 200)
    rollout = Rollout(order("20%", "25%"), NOW)
    first = waves.plan(rollout, 0, fleet, None)
    had = chosen(first, fleet)
    left = picture(*(each for each in fleet.devices[::3]))
    again = waves.plan(rollout, 1, left, first)
    assert had <= chosen(again, fleet)


def test_a_plan_holds_no_more_classes_than_it_has_room_for():
    names = [f"class-{n}" for n in range(500)] + ["a" * 70_000, "no class!"]
    fleet = picture(*(seen(f"pi-{n}-{m}", name) for n, name in enumerate(names) for m in range(1 + (n < 3))))
    plan = waves.plan(Rollout(order("5%"), NOW), 0, fleet, None)
    assert len(plan.cut) == waves.CLASSES_MAX + 1
    assert len(chosen(plan, fleet)) == -(-len(fleet.devices) // 20)


def test_taking_back_is_one_plan_with_no_candidate_that_no_window_holds():
    rollout = Rollout(order("100%"), NOW)
    first = waves.plan(rollout, 0, picture(seen("pi")), None)
    back = waves.taken_back(rollout, replace(first, revoked=("0" * 64,), spread_s=60.0, paused=True))
    assert (back.serial, back.stable, back.candidate, back.cut) == (2, STABLE, None, {})
    assert back.revoked == ("0" * 64, CANDIDATE.manifest)
    assert back.urgent
    assert (back.spread_s, back.paused, back.windows) == (0.0, False, ())
    assert not chosen(back, picture(seen("pi")))


def test_one_class_goes_back_and_the_others_keep_the_candidate():
    fleet = picture(seen("pi"), seen("tpu", "edgetpu"))
    rollout = Rollout(order("100%"), NOW)
    first = waves.plan(rollout, 0, fleet, None)
    back = waves.taken_back(rollout, first, ("edgetpu",))
    assert back.cut == {OTHERS: EVERYBODY, "edgetpu": NOBODY}
    assert chosen(back, fleet) == {"pi"}
    assert back.revoked == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "no wave"), ("0%", "no wave"), ("101%", "no wave"), ("some", "no wave"), ("", "no wave"),
        ("-1", "no wave"), ("5%,1%", "not larger"), ("5,5", "not larger"), ("all,100%", "not larger"),
    ],
)  # fmt: skip
def test_waves_that_are_none_are_refused(text, said):
    with pytest.raises(Refused, match=said):
        sizes.waves(text)


def test_waves_are_numbers_shares_or_everybody():
    assert sizes.waves("1, 5%,25%,100%") == ("1", "5%", "25%", "100%")
    assert sizes.parse("all") == sizes.parse("100%") == sizes.Everybody()
