"""A rollout from its start through everything that a person may decide about it."""

from datetime import UTC, datetime
from functools import partial

import pytest
from msgspec.structs import replace

from agent.core.update.cohort import EVERYBODY, NOBODY, OTHERS, belongs
from agent.wire.documents import Plan, ReleaseRef
from agent.wire.topics import DeviceId, Digest, sha256
from deploy.adapters import approval_ed25519
from deploy.core.refusal import Refused
from deploy.core.rollouts import approvals, orders, standing, starting, state, waves
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.orders import Subject
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.starting import Asked
from deploy.core.rollouts.state import Fleet
from deploy.core.rollouts.words import (
    Approved,
    Ended,
    Finding,
    Judged,
    Judgement,
    Line,
    Outcome,
    Policy,
    Started,
    Steered,
    Verdict,
)

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
ANN = Person("ann", "it is Tuesday")
SHARED = sha256(b"a variant of both")


def ref(version: str) -> ReleaseRef:
    return ReleaseRef(name="birds", version=version, manifest=sha256(version.encode()))


def files(of: ReleaseRef) -> frozenset[Digest]:
    own = sha256(f"variant {of.version}".encode())
    return (
        frozenset({of.manifest, own, SHARED}) if of.version in {"1", "2"} else frozenset({of.manifest, own})
    )


def fleet_of(count: int, **changes) -> Picture:
    devices = [
        replace(Seen(id=DeviceId(f"pi-{n:03}"), hardware=("cpu", "edgetpu")[n % 2], online=True), **changes)
        for n in range(count)
    ]
    return Picture(at=NOW, devices=tuple(devices))


class Desk:
    """What the ledger says, and the plans that were signed."""

    def __init__(self, picture: Picture) -> None:
        self.picture, self.fleet = picture, Fleet()

    @property
    def standing(self) -> Plan | None:
        return standing.plans(self.fleet).get("main")

    def write(self, *entries) -> None:
        self.fleet = starting.after(self.fleet, entries, self.picture)

    def start(self, version: str, *of_waves: str, salts=("s",), **asked):
        wanted = Asked("main", ref(version), of_waves or ("10%", "100%"), salts, **asked)
        order = starting.prepare(self.fleet, self.picture, wanted, self.standing, files)
        entries = starting.start(self.fleet, self.picture, order, self.standing, ANN)
        self.write(*entries)
        return entries

    def decide(self, decide, name: str, person: Person = ANN):
        entries = decide(Subject(self.fleet, self.picture, name, self.standing), person)
        self.write(*entries)
        return entries

    def judge(self, name: str, verdict: Verdict) -> None:
        found = Finding(name="failed", says=verdict, words="3 of 9 devices failed")
        judgement = Judgement(verdict=verdict, findings=(found,))
        self.write(Judged(rollout=name, wave=0, judgement=judgement, picture=Digest("0" * 64)))

    def complete(self, version: str, **asked) -> None:
        entries = self.start(version, "100%", **asked)
        self.write(Ended(rollout=entries[0].order.rollout, outcome=Outcome.COMPLETED))

    def inside(self) -> set[str]:
        plan = self.standing
        return {s.id for s in self.picture.devices if belongs(plan.cut, s.hardware, plan.salt, s.id)}


@pytest.fixture
def desk():
    made = Desk(fleet_of(20))
    made.complete("1")
    return made


def test_a_start_writes_the_order_and_lets_the_first_wave_in(desk):
    started, steered = desk.start("2", policy=Policy(spread_s=60.0))
    assert isinstance(started, Started)
    assert (started.by, started.order.rollout, started.order.stable) == ("ann", "birds-2", ref("1"))
    assert isinstance(steered, Steered)
    assert (steered.wave, steered.plan.serial, steered.plan.stable) == (0, 2, ref("1"))
    assert (steered.plan.rollout, steered.plan.spread_s, len(desk.inside())) == ("birds-2", 60.0, 2)


def test_what_completed_becomes_stable_and_what_was_taken_back_does_not(desk):
    desk.start("2")
    desk.decide(orders.revert, "birds-2")
    started, _ = desk.start("3")
    assert started.order.stable == ref("1")
    desk.write(Ended(rollout="birds-3", outcome=Outcome.COMPLETED))
    assert desk.start("4")[0].order.stable == ref("3")


def test_of_the_salts_the_one_is_taken_whose_first_wave_is_online(desk):
    salts = tuple("abcdefgh")
    plans = {salt: desk_with(salt) for salt in salts}
    away = {device for salt in salts[:5] for device in plans[salt]}
    desk.picture = Picture(
        at=NOW, devices=tuple(replace(s, online=s.id not in away) for s in desk.picture.devices)
    )
    chosen = desk.start("2", salts=salts)[0].order.salt
    assert not plans[chosen] & away or not any(not plans[salt] & away for salt in salts)


def desk_with(salt: str) -> set[str]:
    made = Desk(fleet_of(20))
    made.start("2", salts=(salt,))
    return made.inside()


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda d: d.start("1"), "rolled out to the end"),
        (lambda d: (d.start("2"), d.start("3")), "birds-2 of stream main has not ended"),
        (lambda d: d.start("2", rollout="birds-1"), "there was a rollout birds-1 before"),
        (lambda d: d.start("2", policy=Policy(approve=("5%",))), "the policy wants wave '5%' signed"),
        (lambda d: d.start("2", match=("tag=none",)), "no device that matches tag=none"),
        (lambda d: (d.start("2"), d.decide(orders.abort, "birds-2"), d.start("2")), "was revoked"),
        (lambda d: (d.start("2"), d.decide(orders.revert, "birds-2"), d.start("1")), "nothing to roll out"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused(desk, act, said):
    with pytest.raises(Refused, match=said):
        act(desk)


def test_a_fleet_that_could_not_be_read_is_not_counted(desk):
    desk.picture = replace(desk.picture, missing=("shard 7: it did not come",))
    with pytest.raises(Refused, match="shard 7"):
        desk.start("2")
    desk.start("2", "all")


def test_what_went_to_some_is_not_stable_for_others():
    desk = Desk(fleet_of(20, tags=("line-3",)))
    desk.complete("1", match=("tag=line-3",))
    with pytest.raises(Refused, match="went only to tag=line-3"):
        desk.start("2")
    assert desk.start("2", match=("tag=line-3",))[0].order.stable == ref("1")


def test_what_is_out_there_is_widened_to_all_at_once():
    """In waves, those who run it would be outside the cut and go back."""
    desk = Desk(fleet_of(20, tags=("line-3",)))
    desk.complete("1", match=("tag=line-3",))
    with pytest.raises(Refused, match="would go back until their turn came"):
        desk.start("1", "50%", "100%")
    desk.start("1", "100%")
    assert len(desk.inside()) == 20


def test_a_rollout_that_could_not_be_revoked_does_not_begin(desk):
    many = Asked("main", ref("9"), ("100%",), ("s",))
    huge = frozenset(sha256(str(n).encode()) for n in range(300))
    order = starting.prepare(desk.fleet, desk.picture, many, desk.standing, lambda of: huge | {of.manifest})
    with pytest.raises(Refused, match="digests are revoked"):
        starting.start(
            desk.fleet, desk.picture, replace(order, files=tuple(sorted(huge))), desk.standing, ANN
        )


def test_a_name_is_free_or_numbered(desk):
    assert starting.free_name(desk.fleet, ref("1")) == "birds-1-2"
    assert (
        len(
            starting.free_name(
                Fleet({"x" * 64: None}), ReleaseRef(name="x" * 64, version="1", manifest="0" * 64)
            )
        )
        <= 64
    )


def test_a_pause_holds_the_plan_and_a_resume_lets_it_go(desk):
    desk.start("2")
    desk.decide(orders.pause, "birds-2")
    assert desk.standing.paused
    assert desk.fleet.rollouts["birds-2"].paused
    for decide in (orders.pause, orders.force):
        with pytest.raises(Refused, match="paused"):
            desk.decide(decide, "birds-2")
    desk.decide(orders.resume, "birds-2")
    assert (desk.standing.paused, desk.standing.serial) == (False, 4)
    with pytest.raises(Refused, match="is not paused"):
        desk.decide(orders.resume, "birds-2")


def test_an_abort_takes_back_and_revokes_but_what_stable_needs(desk):
    desk.start("2")
    desk.decide(orders.abort, "birds-2")
    plan = desk.standing
    assert (plan.stable, plan.candidate, plan.urgent) == (ref("1"), None, True)
    assert set(plan.revoked) == files(ref("2")) - {SHARED}
    assert desk.fleet.rollouts["birds-2"].outcome is Outcome.REVERTED


def test_a_revert_takes_back_and_revokes_nothing_also_what_has_completed(desk):
    desk.start("2")
    desk.write(Ended(rollout="birds-2", outcome=Outcome.COMPLETED))
    desk.decide(orders.revert, "birds-2")
    assert (desk.standing.stable, desk.standing.candidate, desk.standing.revoked) == (ref("1"), None, ())
    assert orders.newest(desk.fleet, "main") == "birds-2"


def test_only_the_newest_rollout_is_taken_back_and_only_once(desk):
    desk.start("2")
    with pytest.raises(Refused, match="birds-2 came after birds-1"):
        desk.decide(orders.revert, "birds-1")
    desk.decide(orders.revert, "birds-2")
    with pytest.raises(Refused, match="was taken back already"):
        desk.decide(orders.abort, "birds-2")
    with pytest.raises(Refused, match="there is no rollout 'birds-7'"):
        desk.decide(orders.revert, "birds-7")


def test_a_plan_that_was_signed_without_the_ledger_knowing_is_followed_all_the_same(desk):
    """One of the two was restored from another time: a revert with an old serial would do nothing."""
    desk.start("2")
    ahead = replace(desk.standing, serial=40, revoked=("a" * 64,))
    _, steered, _ = orders.revert(Subject(desk.fleet, desk.picture, "birds-2", ahead), ANN)
    assert (steered.plan.serial, steered.plan.revoked) == (41, ("a" * 64,))


def test_one_class_goes_back_and_stays_out_of_later_waves(desk):
    desk.start("2", "50%", "100%")
    desk.decide(partial(orders.revert_class, hardware="edgetpu"), "birds-2")
    assert desk.standing.cut["edgetpu"] == NOBODY
    desk.decide(orders.force, "birds-2")
    assert desk.standing.cut == {OTHERS: EVERYBODY, "edgetpu": NOBODY}
    with pytest.raises(Refused, match="taken back from rollout birds-2 already"):
        desk.decide(partial(orders.revert_class, hardware="edgetpu"), "birds-2")
    with pytest.raises(Refused, match="there is cpu, edgetpu"):
        desk.decide(partial(orders.revert_class, hardware="tpu"), "birds-2")


def test_the_next_wave_follows_where_the_gate_agrees_or_a_reason_is_given(desk):
    desk.start("2")
    first = desk.inside()
    with pytest.raises(Refused, match="has not judged this wave yet"):
        desk.decide(orders.promote, "birds-2")
    desk.judge("birds-2", Verdict.HOLD)
    with pytest.raises(Refused, match="says hold: 3 of 9 devices failed"):
        desk.decide(orders.promote, "birds-2")
    with pytest.raises(Refused, match="a reason is needed"):
        desk.decide(orders.force, "birds-2", Person("ann", " "))
    desk.judge("birds-2", Verdict.PROMOTE)
    desk.decide(orders.promote, "birds-2")
    assert first < desk.inside()
    desk.decide(orders.force, "birds-2")
    assert desk.fleet.rollouts["birds-2"].outcome is Outcome.COMPLETED
    with pytest.raises(Refused, match="has ended"):
        desk.decide(orders.pause, "birds-2")


def test_what_makes_way_for_another_is_taken_back_by_its_first_plan(desk):
    desk.start("2", "100%")
    desk.write(*starting.supersede(desk.fleet.rollouts["birds-2"], ANN))
    desk.start("3")
    assert desk.fleet.rollouts["birds-2"].outcome is Outcome.REVERTED
    assert (desk.standing.stable, desk.standing.candidate, desk.standing.revoked) == (ref("1"), ref("3"), ())


def test_a_named_wave_waits_for_a_second_person(desk, tmp_path):
    key = approval_ed25519.create(tmp_path / "bob.pem")
    sign = approval_ed25519.signer(tmp_path / "bob.pem")
    desk.start("2", policy=Policy(approve=("100%",)))
    desk.judge("birds-2", Verdict.PROMOTE)
    with pytest.raises(Refused, match="1 more signature"):
        desk.decide(orders.promote, "birds-2")
    with pytest.raises(Refused, match="does not count"):
        approvals.approve(desk.fleet, "birds-2", "100%", "bob", sign, ())
    with pytest.raises(Refused, match="no wave '5%'"):
        approvals.approve(desk.fleet, "birds-2", "5%", "bob", sign, (key,))
    desk.write(*approvals.approve(desk.fleet, "birds-2", "100%", "bob", sign, (key,)))
    desk.decide(orders.promote, "birds-2")
    assert len(desk.inside()) == 20


def test_a_first_wave_may_wait_for_a_signature_too(desk):
    (started,) = desk.start("2", policy=Policy(approve=("10%",)))
    assert desk.standing.candidate == ref("1")
    desk.decide(orders.abort, started.order.rollout)
    assert desk.standing.candidate == ref("1")


def test_a_signature_counts_only_by_a_listed_key_over_what_was_ordered(desk, tmp_path):
    keys = [approval_ed25519.create(tmp_path / name) for name in ("bob", "eve")]
    bob, eve = (approval_ed25519.signer(tmp_path / name) for name in ("bob", "eve"))
    started, _ = desk.start("2", policy=Policy(approve=("100%",)))
    order = started.order

    def approved(wave: int, signed: tuple[str, str]) -> Line:
        entry = Approved(rollout="birds-2", wave=wave, key=signed[0], signature=signed[1])
        return Line(number=1, at=NOW, entry=entry, chain=Digest("0" * 64))

    content = approvals.approval_bytes(order, 1)
    good = approved(1, bob(content))
    lines = [
        approved(1, eve(content)),
        approved(0, bob(content)),
        approved(9, bob(content)),
        approved(1, (keys[0], eve(content)[1])),
        approved(1, bob(approvals.approval_bytes(replace(order, salt="other"), 1))),
        approved(1, (keys[0], "no hexadecimal")),
        good,
    ]
    counting = list(approvals.genuine(lines, desk.fleet, keys[:1], approval_ed25519.verify))
    assert counting == [good]
    assert state.fold(counting, desk.fleet).rollouts["birds-2"].approved == {1: {keys[0]}}


def test_a_key_is_never_overwritten_and_a_file_that_is_none_is_told(tmp_path):
    approval_ed25519.create(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Refused, match="exists already"):
        approval_ed25519.create(tmp_path / "key")
    (tmp_path / "no").write_text("no key")
    with pytest.raises(approval_ed25519.ConfigError, match="is none"):
        approval_ed25519.signer(tmp_path / "no")


def test_a_cut_of_a_wave_never_shrinks_when_it_is_made_again(desk):
    desk.start("2", "50%", "60%", "100%")
    before = desk.standing.cut
    desk.picture = fleet_of(6)
    desk.decide(orders.force, "birds-2")
    after = desk.standing.cut
    assert all(int(after[kind], 16) >= int(before[kind], 16) for kind in before)
    assert waves.members(desk.standing, desk.picture)
