from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.update import cohort
from agent.wire.documents import Plan, ProbationPolicy, ReleaseRef, TrialPolicy
from agent.wire.topics import DeviceId, Digest
from deploy.core import plans
from deploy.core.plans import Known, Reverted, Wave
from deploy.core.refusal import Refused


def ref(version, name="birds"):
    return ReleaseRef(name=name, version=version, manifest=Digest(version * 64))


ONE, TWO, THREE = ref("1"), ref("2"), ref("3")
ALL = {"*": cohort.EVERYBODY}
NOTHING = Known()


def wave(share, salt="salt"):
    return Wave(share=Fraction(share), salt=salt)


def roll_out(previous, candidate, share=1, salt="salt", known=NOTHING, files=frozenset()):
    return plans.roll_out(previous, "main", candidate, files, wave(share, salt), known)


def plan(**fields):
    return Plan(**({"stream": "main", "serial": 4, "salt": "old"} | fields))


def test_the_first_plan_has_no_stable_release():
    assert roll_out(None, ONE) == Plan(stream="main", serial=1, candidate=ONE, cut=ALL, salt="salt")


def test_a_candidate_that_was_offered_to_all_and_serves_becomes_stable_when_the_next_is_rolled_out():
    serves = Known(committed=frozenset({ONE.manifest}))
    assert roll_out(plan(candidate=ONE, cut=ALL), TWO, known=serves) == Plan(
        stream="main", serial=5, stable=ONE, candidate=TWO, cut=ALL, salt="salt"
    )


@pytest.mark.parametrize("cut", [{"*": "8" * 16}, {}, {"cpu": cohort.EVERYBODY}, ALL | {"cpu": "8" * 16}])
def test_a_candidate_that_some_devices_never_got_does_not_become_stable(cut):
    before = plan(stable=ONE, candidate=TWO, cut=cut)
    serves = Known(committed=frozenset({TWO.manifest}))
    assert roll_out(before, THREE, known=serves).stable == ONE


def test_a_candidate_that_every_device_refused_does_not_become_stable():
    before = plan(stable=ONE, candidate=TWO, cut=ALL)
    assert roll_out(before, THREE, known=Known(committed=frozenset({ONE.manifest}))).stable == ONE


def test_widening_keeps_the_salt_so_that_waves_nest_and_a_new_candidate_gets_a_new_one():
    narrow = roll_out(None, ONE, Fraction(1, 10), salt="first")
    assert roll_out(narrow, ONE, Fraction(1, 2), salt="second").salt == "first"
    assert roll_out(narrow, TWO, Fraction(1, 2), salt="second").salt == "second"


def test_a_wave_carries_its_policies():
    trial, probation = TrialPolicy(shadow_frames=3), ProbationPolicy(healthy_windows=9)
    asked = Wave(Fraction(1), "s", ("tag=garden",), 60.0, trial, probation)
    assert plans.roll_out(None, "main", ONE, frozenset(), asked, NOTHING) == Plan(
        stream="main",
        serial=1,
        candidate=ONE,
        cut=ALL,
        salt="s",
        match=("tag=garden",),
        spread_s=60.0,
        trial=trial,
        probation=probation,
    )


@pytest.mark.parametrize(
    ("before", "candidate", "said"),
    [
        (plan(stable=ONE), ONE, "nothing to roll out"),
        (plan(stable=ONE, candidate=TWO), ONE, "shoal revert"),
        (plan(revoked=(TWO.manifest,)), TWO, "was revoked"),
    ],
)
def test_a_rollout_that_makes_no_sense_is_refused(before, candidate, said):
    with pytest.raises(Refused, match=said):
        roll_out(before, candidate, files=frozenset({candidate.manifest}))


def test_a_revert_leaves_stable_alone_and_keeps_what_was_revoked():
    before = plan(stable=ONE, candidate=TWO, cut=ALL, revoked=(THREE.manifest,))
    assert plans.revert(before, "main") == Reverted(
        plan(serial=5, stable=ONE, salt="", revoked=(THREE.manifest,)), TWO
    )


def test_a_revocation_adds_digests_once():
    before = plan(stable=ONE, candidate=TWO, cut=ALL, revoked=(TWO.manifest,))
    revoked = plans.revert(before, "main", frozenset({TWO.manifest, THREE.manifest})).plan.revoked
    assert revoked == (TWO.manifest, THREE.manifest)


@pytest.mark.parametrize(
    ("before", "said"),
    [(None, "nothing was ever rolled out"), (plan(stable=ONE), "there is nothing to take back")],
)
def test_a_revert_of_nothing_is_refused(before, said):
    with pytest.raises(Refused, match=said):
        plans.revert(before, "main")


def test_a_plan_that_devices_would_refuse_for_its_length_is_refused_here():
    many = frozenset(Digest(f"{number:064x}") for number in range(300))
    with pytest.raises(Refused, match="300 digests are revoked"):
        plans.revert(plan(candidate=TWO), "main", many)


@pytest.mark.parametrize(
    ("devices", "share", "count"),
    [
        (20, "5%", 1),
        (20, "6%", 2),
        (3, "5%", 1),
        (1000, "0.1%", 1),
        (20, "0%", 0),
        (7, "100%", 7),
        (3, "67%", 3),
    ],
)
def test_a_share_of_known_devices_is_exact_and_rounded_up(devices, share, count):
    known = Known({"cpu": tuple(DeviceId(f"cam-{number}") for number in range(devices))})
    plan = roll_out(None, ONE, plans.parse_share(share), known=known)
    assert len(plans.chosen(plan, known)) == count


@given(
    salt=st.text(max_size=5),
    counts=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    shares=st.tuples(st.fractions(0, 1), st.fractions(0, 1)),
)
def test_each_hardware_class_gets_its_share_and_waves_nest(salt, counts, shares):
    known = Known(
        {
            kind: tuple(DeviceId(f"{kind}-{number}") for number in range(count))
            for kind, count in zip(("cpu", "edgetpu"), counts, strict=True)
        }
    )
    narrow, wide = sorted(shares)
    reached = [set(plans.chosen(_plan(share, salt, known), known)) for share in (narrow, wide)]
    assert reached[0] <= reached[1]
    assert len(reached[1]) == sum(plans.members(wide, count) for count in counts)


def _plan(share, salt, known):
    return Plan(stream="main", serial=1, cut=plans.cuts(share, salt, known), salt=salt)


def test_a_class_of_which_no_device_is_known_is_cut_at_the_share():
    known = Known({"cpu": (DeviceId("a"), DeviceId("b"))})
    assert plans.cuts(Fraction(1, 2), "s", known) == {
        "*": "8" + "0" * 15,
        "cpu": cohort.exact_cut("s", known.devices["cpu"], 1),
    }


@pytest.mark.parametrize(
    ("text", "share"), [("all", Fraction(1)), ("5%", Fraction(1, 20)), ("0.5%", Fraction(1, 200)), ("0%", 0)]
)
def test_shares_are_read_exactly(text, share):
    assert plans.parse_share(text) == share


@pytest.mark.parametrize("text", ["5", "", "%", "-1%", "101%", "nan%", "inf%", "1/0%", "half", "ALL"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(Refused, match="is no share"):
        plans.parse_share(text)
