"""The update loop of one device over scripted ports: how a release comes in, is held, or goes back."""

import asyncio

import pytest
from msgspec.structs import replace

from agent.adapters.trust_tuf import TufTrust
from agent.core.update.cohort import NOBODY
from agent.core.update.known_bad import Bad
from agent.core.update.lifecycle import Fetching, Idle, Probation, Record, Trial
from agent.core.update.window import Patience
from agent.loops.release.fetch import fetch
from agent.wire.errors import (
    DiskFull,
    Malformed,
    Stale,
    TooLarge,
    Unavailable,
    UnknownSchema,
    Untrusted,
)
from agent.wire.ipc import InvokeFailed, ProveFailed
from agent.wire.reasons import Reason
from agent.wire.reports import Ended, Event, Outcome, Phase, Presence, Report, Running, Status
from agent.wire.topics import sha256
from tests.fakes.link import MemoryLink
from tests.fakes.operator import Operator
from tests.scenario.one_device import (
    CAPABILITIES,
    CAT,
    CHUNKS,
    DEVICE,
    FOUND,
    PROBATION,
    ROOT,
    TRIAL,
    Home,
    SwiftDisk,
    living,
    manifest,
    pieces,
    refusing,
    run,
)


@pytest.fixture(autouse=True)
def haste(monkeypatch):
    for module in ("jobs", "effects", "update"):
        monkeypatch.setattr(f"agent.loops.release.{module}.RETRY_S", 0.005)
    monkeypatch.setattr("agent.loops.release.update.CLOCK_POLL_S", 0.005)


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    made.publish("1")
    made.order(1, stable="1")
    return made


def running(release):
    return Running(
        name=release.name,
        version=release.version,
        manifest=release.manifest,
        digest=release.variant,
        delegate="xnnpack",
        delegate_reason="it was told so",
        runtime="scripted 1.0",
    )


def committed(release):
    return Ended(
        name=release.name, version=release.version, manifest=release.manifest, outcome=Outcome.COMMITTED
    )


def test_a_release_is_fetched_proven_activated_watched_and_committed(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.order(2, stable="1", candidate="2")
            device.update.poke()
            await device.commits("2")
            first, second = home.fitted("1"), home.fitted("2")
            assert device.record == Record(
                state=Idle(active=second, fallback=first),
                last=committed(second),
                plan_serial=2,
                trial=TRIAL,
                probation=PROBATION,
            )
            assert device.store.load() == device.record
            assert [spec.version for spec in device.worker.served] == ["1", "2"]
            assert [len(canary.asked) for canary in device.canaries] == [1, 3]
            assert all(canary.closed for canary in device.canaries)

    run(life())
    at = home.clock.now()
    second = home.fitted("2")
    assert home.report == Report(
        device=DEVICE,
        at=at,
        phase=Phase.IDLE,
        active=running(second),
        last=committed(second),
        plan_serial=2,
        capabilities=CAPABILITIES,
    )
    assert home.phases == ["idle", *["fetching", "trial", "probation", "idle"] * 2]
    size = home.manifests["2"].variants[0].artifact.length
    assert home.events[-5:] == [
        Event(at=at, number=5, name="update.fetched", fields={"name": "cats", "version": "2", "bytes": size}),
        Event(
            at=at,
            number=6,
            name="trial.proven",
            fields={"golden": 1, "load_ms": 10.0, "invoke_p50_ms": 5.0, "delegate": "xnnpack"},
        ),
        Event(at=at, number=7, name="trial.shadowed", fields={"frames": 2}),
        Event(
            at=at,
            number=8,
            name="model.serving",
            fields={
                "manifest": second.manifest,
                "digest": second.variant,
                "delegate": "xnnpack",
                "load_ms": 12.0,
                "gap_ms": 0.5,
            },
        ),
        Event(
            at=at,
            number=9,
            name="update.ended",
            fields={"name": "cats", "version": "2", "outcome": "committed", "reason": "", "detail": ""},
        ),
    ]
    assert home.statuses == [Status(state=Presence.ONLINE, session="session")]
    assert home.chunks_delivered == 2 * CHUNKS


def trusting(operator, link, folder):
    return TufTrust(link, operator.root, folder, operator.pinned, operator.clock, 0.5)


def test_the_same_with_everything_signed_for_real(tmp_path):
    home = Home(tmp_path / "device")
    operator = Operator(tmp_path / "operator", home.clock)
    home.broker = operator.broker
    link = MemoryLink(operator.broker)
    home.trust = trust = trusting(operator, link, tmp_path / "device" / "trust")
    for version in ("11", "12"):
        home.publish(version)
        operator.repository.add_release(home.manifests[version])

    async def life():
        async with living(home, link=link) as device:
            loop = asyncio.get_running_loop()
            trust.watch(lambda: loop.call_soon_threadsafe(device.update.poke))
            for serial, version in ((2, "11"), (3, "12")):
                operator.repository.set_plan(home.order(serial, stable=version))
                operator.publish()
                await device.commits(version)
            assert device.record.plan_serial == 3

    run(life())


# held: nothing is begun, and what runs goes on


def fault_of_trust(where, fault):
    def set_it(home, _):
        setattr(home.scripted, where, fault)

    def mend(home, _):
        setattr(home.scripted, where, None)

    return set_it, mend


def plan(**changes):
    def set_it(home, _):
        home.order(2, candidate="2", **changes)

    def mend(home, _):
        home.order(3, stable="1", candidate="2")

    return set_it, mend


def clock_lost(home, _):
    home.clock.set_synchronized(to=False)


def clock_back(home, _):
    home.clock.set_synchronized(to=True)


def no_plan(home, _):
    home.scripted.signed = None


def order_two(home, _):
    home.order(2, stable="1", candidate="2")


class TightDisk(SwiftDisk):
    """Has as much room as the test gives it."""


@pytest.mark.parametrize(
    ("cause", "mend", "reason"),
    [
        pytest.param(
            *fault_of_trust("refresh_fault", Stale("timestamp")), Reason.STALE_METADATA, id="expired"
        ),
        pytest.param(*fault_of_trust("refresh_fault", Untrusted("forged")), Reason.UNTRUSTED, id="forged"),
        pytest.param(*fault_of_trust("plan_fault", Malformed("plan")), Reason.UNREADABLE, id="unreadable"),
        pytest.param(*fault_of_trust("plan_fault", TooLarge("plan")), Reason.UNREADABLE, id="too large"),
        pytest.param(*fault_of_trust("plan_fault", UnknownSchema("9")), Reason.UNREADABLE, id="newer schema"),
        pytest.param(*fault_of_trust("manifest_fault", Untrusted("who")), Reason.UNTRUSTED, id="not signed"),
        pytest.param(clock_lost, clock_back, Reason.CLOCK, id="clock"),
        pytest.param(no_plan, order_two, Reason.NO_PLAN, id="no plan"),
        pytest.param(*plan(cut={"*": NOBODY}), Reason.OUTSIDE_CUT, id="outside the cut"),
        pytest.param(*plan(match=("tag=attic",)), Reason.NOT_MATCHED, id="not matched"),
        pytest.param(*plan(minimum_agent="99"), Reason.AGENT_TOO_OLD, id="agent too old"),
    ],
)
def test_while_held_the_reason_is_told_and_predictions_go_on_and_it_ends_with_its_cause(
    home, cause, mend, reason
):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            order_two(home, device)
            cause(home, device)
            await device.looks_again()
            first, seen = home.fitted("1"), len(home.predictions)
            assert (home.report.phase, home.report.reason) == (Phase.HELD, reason)
            assert (home.report.active, device.record.state) == (running(first), Idle(active=first))
            device.worker.frame(home.clock)
            assert [p.version for p in home.predictions[seen:]] == ["1"]
            mend(home, device)
            if reason is not Reason.CLOCK:
                device.update.poke()
            await device.commits("2")
            assert (home.report.phase, home.report.reason, home.report.detail) == (Phase.IDLE, None, "")

    run(life())


@pytest.mark.parametrize("minimum", ["scripted 2.0", "other 1.0"])
def test_a_release_without_a_variant_for_this_device_is_held(home, minimum):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            base = manifest("2").variants[0]
            home.publish("2", variants=(replace(base, minimum_runtime=minimum),))
            home.order(2, candidate="2")
            await device.looks_again()
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.RUNTIME_TOO_OLD)

    run(life())


def test_a_broker_that_does_not_deliver_is_asked_again(home):
    async def life():
        home.scripted.refresh_fault = Unavailable("meta/timestamp")
        async with living(home) as device:
            await device.until(lambda: home.scripted.refreshes > 3)
            assert home.report.phase is Phase.IDLE
            home.scripted.refresh_fault = None
            await device.commits("1")

    run(life())


def test_low_disk_holds_the_download_in_one_report_and_ends_with_its_cause(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            tries = 0

            def require(new_bytes):
                nonlocal tries
                tries += 1
                raise DiskFull(f"{1000 - tries} bytes free, {new_bytes} more would be too much")

            device.store.require, room = require, device.store.require
            home.publish("2")
            order_two(home, device)
            device.update.poke()
            await device.until(lambda: tries > 5)
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.LOW_DISK)
            assert isinstance(device.record.state, Fetching)
            assert [r.reason for r in home.reports].count(Reason.LOW_DISK) == 1
            device.worker.frame(home.clock)
            assert home.predictions[-1].version == "1"
            device.store.require = room
            await device.commits("2")
            assert (home.report.phase, home.report.reason) == (Phase.IDLE, None)

    run(life())


def test_forged_chunks_condemn_no_release(home, monkeypatch):
    """Else whoever can write to one topic could ban a release from a whole fleet for ever."""
    monkeypatch.setitem(fetch.__kwdefaults__, "patience", Patience(refusal_delay_s=0.0))

    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.broker.corrupt(ROOT.chunk(sha256(pieces("2")[7])))
            order_two(home, device)
            device.update.poke()
            chunk = ROOT.chunk(sha256(pieces("2")[7]))
            await device.until(lambda: home.broker.delivered[chunk] > 8)
            assert isinstance(device.record.state, Fetching)
            assert device.record.known_bad == ()
            home.broker.heal()
            await device.commits("2")

    run(life())


def test_a_manifest_that_contradicts_itself_is_refused_for_good(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            base = manifest("2").variants[0]
            lie = replace(base, artifact=replace(base.artifact, digest=sha256(b"another file")))
            home.publish("2", variants=(lie,))
            order_two(home, device)
            device.update.poke()
            await device.until(lambda: device.record.known_bad)
            bad = Bad(home.fitted("2").manifest, Reason.DIGEST_MISMATCH)
            assert (device.record.known_bad, device.runs) == ((bad,), "1")

    run(life())


class BrokenDisk(SwiftDisk):
    fault: OSError | None = None

    def create(self, path, content):
        if self.fault is not None:
            raise self.fault
        super().create(path, content)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(OSError(28, "full"), Reason.LOW_DISK), (OSError(30, "read-only"), Reason.STORE_FAILED)],
)
def test_a_disk_that_takes_no_record_holds_the_update_and_not_the_predictions(home, fault, reason):
    async def life():
        disk = BrokenDisk()
        async with living(home, store=home.store(disk)) as device:
            await device.commits("1")
            home.publish("2")
            order_two(home, device)
            disk.fault = fault
            device.update.poke()
            await device.until(lambda: home.report.reason is reason)
            assert home.report.phase is Phase.HELD
            seen = len(home.predictions)
            device.worker.frame(home.clock)
            assert [p.version for p in home.predictions[seen:]] == ["1"]
            disk.fault = None
            await device.commits("2")
            await device.until(lambda: home.report.reason is None)

    run(life())


def test_a_read_only_disk_at_a_start_stops_no_committed_model(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
        disk = BrokenDisk()
        store = home.store(disk)
        disk.fault = OSError(30, "read-only")
        async with living(home, store=store) as device:
            await device.until(lambda: device.runs == "1")

    run(life())


# two releases in one plan, and plans that change


def refused(device, version, reason, detail=""):
    made = device.home.fitted(version)
    return Ended(
        name="cats",
        version=version,
        manifest=made.manifest,
        outcome=Outcome.REFUSED,
        reason=reason,
        detail=detail,
    )


def test_a_candidate_that_fails_leaves_the_device_with_the_stable_release_at_once(home):
    """And no plan need be published for it, nor the hour of the next look pass."""

    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.publish("3")
            home.order(2, stable="2", candidate="3")
            device.proved = ProveFailed(
                manifest=home.fitted("3").manifest, reason=Reason.LOAD_FAILED, detail="no such op"
            )
            device.update.poke()
            await device.until(
                lambda: device.record.last == refused(device, "3", Reason.LOAD_FAILED, "no such op")
            )
            device.proved = FOUND
            await device.commits("2")
            assert device.record.known_bad == (Bad(home.fitted("3").variant, Reason.LOAD_FAILED),)
            report = home.report
            assert (report.phase, report.reason, report.detail) == (Phase.HELD, Reason.KNOWN_BAD, "cats 3")
            assert report.known_bad == {home.fitted("3").variant: Reason.LOAD_FAILED}
            before = home.chunks_delivered
            await device.looks_again()
            assert home.chunks_delivered == before

    run(life())


def test_a_failed_release_is_held_as_known_bad_and_never_fetched_again(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.order(2, candidate="2")
            device.proved = with_nothing_found()
            device.update.poke()
            await device.until(lambda: home.report.reason is Reason.KNOWN_BAD)
            before = home.chunks_delivered
            for serial in (3, 4):
                home.order(serial, candidate="2")
                await device.looks_again()
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.KNOWN_BAD)
            assert (home.chunks_delivered, device.runs) == (before, "1")

    run(life())


def with_nothing_found():
    return replace(FOUND, invoke_ms=(9_000.0,))


def test_a_revoked_candidate_is_held_and_a_revoked_download_ends(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.broker.lose(ROOT.chunk(sha256(pieces("2")[7])))
            home.order(2, candidate="2")
            device.update.poke()
            await device.until(lambda: isinstance(device.record.state, Fetching))
            revoked = home.fitted("2").manifest
            home.order(3, candidate="2", revoked=(revoked,))
            await device.looks_again()
            assert device.record.last == refused(device, "2", Reason.REVOKED)
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.REVOKED)
            assert home.report.known_bad == {}
            assert device.link.filters == ()

    run(life())


SUPERSEDED = (Reason.SUPERSEDED, "cats 1 is wanted")
WITHDRAWN = (Reason.SUPERSEDED, "the plan offers this device nothing in its place")


@pytest.mark.parametrize("stage", ["fetching", "trial", "probation"])
@pytest.mark.parametrize("then", ["1", None])
def test_a_candidate_that_is_taken_back_ends_wherever_it_is(home, stage, then):
    """By a plan with the stable release in its place, and by one that offers nothing."""

    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            if stage == "fetching":
                home.broker.lose(ROOT.chunk(sha256(pieces("2")[7])))
            if stage == "trial":
                device.spawning.clear()
            home.order(2, stable="1", candidate="2")
            device.update.poke()
            await device.until(lambda: home.report.phase == stage)
            home.order(3, stable=then)
            await device.looks_again()
            await device.quiet()
            reason, detail = SUPERSEDED if then else WITHDRAWN
            outcome = Outcome.REVERTED if stage == "probation" else Outcome.REFUSED
            assert device.record.last == replace(refused(device, "2", reason, detail), outcome=outcome)
            assert (device.record.state, device.record.known_bad) == (Idle(active=home.fitted("1")), ())
            assert device.runs == "1"
            assert device.link.filters == ()
            assert home.report.phase == (Phase.IDLE if then else Phase.HELD)
            device.spawning.set()
            home.broker.heal()
            home.order(4, stable="1", candidate="2")
            device.update.poke()
            await device.commits("2")

    run(life())


def test_of_two_plans_in_quick_succession_the_second_counts(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.publish("3")
            home.scripted.open.clear()
            home.order(2, stable="1", candidate="2")
            device.update.poke()
            await device.until(lambda: home.scripted.refreshes == 2)
            device.update.poke()
            home.scripted.open.set()
            home.order(3, stable="1", candidate="3")
            await device.commits("3")
            assert "2" not in [spec.version for spec in device.worker.served]

    run(life())


def test_back_and_forth_between_plans_no_word_of_an_ended_job_counts(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            for serial in range(2, 40):
                home.order(serial, stable="1", candidate=None if serial % 2 else "2")
                device.update.poke()
                for _ in range(serial):
                    device.worker.frame(home.clock)
                    await asyncio.sleep(0)
            home.order(40, stable="1", candidate="2")
            device.update.poke()
            await device.commits("2")

    run(life())


def test_a_device_waits_for_its_turn_in_the_spread(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.order(2, stable="1", candidate="2", spread_s=0.2)
            await device.looks_again()
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.WAITING)
            await device.commits("2")
            assert home.report.reason is None

    run(life())


# probation


async def on_probation(device, version="2", **changes):
    home = device.home
    home.publish(version)
    home.order(device.record.plan_serial + 1, stable="1", candidate=version, **changes)
    device.update.poke()
    await device.until(
        lambda: isinstance(device.record.state, Probation) and device.runs == version, frames=True
    )


def crash(device):
    device.worker.crash("killed by SIGSEGV")


def slow(device):
    for _ in range(3):
        device.worker.frame(device.home.clock, invoke_ms=500.0)


def constant(device):
    for _ in range(3):
        device.worker.frame(device.home.clock, answer=CAT)


def failing(device):
    manifest = device.home.fitted("2").manifest
    for sequence in range(3):
        device.worker.see(InvokeFailed(manifest=manifest, sequence=sequence, detail="no"))


@pytest.mark.parametrize(
    ("illness", "reason"),
    [
        (crash, Reason.WORKER_CRASHED),
        (slow, Reason.SLOWED_DOWN),
        (constant, Reason.CONSTANT_OUTPUT),
        (failing, Reason.INVOKE_ERRORS),
    ],
)
def test_a_release_that_falls_ill_on_probation_is_taken_back_and_not_tried_again(home, illness, reason):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            for _ in range(6):
                device.worker.frame(home.clock)
            await on_probation(device)
            device.service._window = type(device.service._window)()
            illness(device)
            await device.until(lambda: device.runs == "1")
            await device.quiet()
            second = home.fitted("2")
            assert device.record.last is not None
            assert (device.record.last.outcome, device.record.last.reason) == (Outcome.REVERTED, reason)
            assert device.record.known_bad == (Bad(second.variant, reason),)
            assert device.record.state == Idle(active=home.fitted("1"))
            assert home.ended()[-1] == ("2", "reverted", reason)
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.KNOWN_BAD)
            before = home.chunks_delivered
            home.order(9, stable="1", candidate="2")
            await device.looks_again()
            assert (device.runs, home.chunks_delivered) == ("1", before)
            assert not device.store.path(second.variant).exists()

    run(life())


def test_a_first_release_that_fails_leaves_the_worker_at_rest(home):
    async def life():
        async with living(home) as device:
            await device.until(lambda: device.runs == "1")
            device.worker.crash()
            await device.until(lambda: device.runs is None)
            await device.quiet()
            assert (device.record.state, home.report.active) == (Idle(), None)
            assert (home.report.phase, home.report.reason) == (Phase.HELD, Reason.KNOWN_BAD)

    run(life())


def test_a_candidate_that_the_worker_cannot_take_over_goes_back(home):
    async def life():
        home.publish("2")
        async with living(home, answer=refusing(home.fitted("2").variant)) as device:
            await device.commits("1")
            home.order(2, stable="1", candidate="2")
            device.update.poke()
            await device.until(lambda: device.record.last is not None and device.record.last.version == "2")
            await device.quiet()
            assert home.ended()[-1] == ("2", "reverted", Reason.ACTIVATION_FAILED)
            assert device.runs == "1"

    run(life())


@pytest.mark.parametrize("clean", [True, False])
def test_evidence_survives_a_restart_on_probation(home, clean):
    async def life():
        async with living(home) as device:
            await device.commits("1")
        async with living(home, clean=clean) as device:
            await device.until(lambda: device.runs == "1")
            await on_probation(device, probation=replace(PROBATION, healthy_windows=50))
            await device.until(lambda: device.record.state.good > 3, frames=True)
            good = device.record.state.good
        async with living(home) as device:
            await device.until(lambda: device.runs == "2")
            assert isinstance(device.record.state, Probation)
            assert device.record.state.good >= good
            assert device.record.state.unclean_starts == (0 if clean else 1)
            await device.commits("2")

    run(life())


def test_a_second_unclean_start_on_probation_takes_the_release_back(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
        async with living(home, clean=False) as device:
            await device.until(lambda: device.runs == "1")
            await on_probation(device)
        async with living(home, clean=False) as device:
            await device.until(lambda: device.runs == "2")
        async with living(home) as device:
            await device.until(lambda: home.report.reason is Reason.KNOWN_BAD)
            assert device.runs == "1"
            assert home.ended()[-1] == ("2", "reverted", Reason.RESTARTED_IN_PROBATION)

    run(life())


# what stands on the disk is not what it was


async def two_committed(home):
    async with living(home) as device:
        await device.commits("1")
        home.publish("2")
        home.order(2, stable="1", candidate="2")
        device.update.poke()
        await device.commits("2")
        return device.record


def rot(home, *digests):
    for digest in digests:
        path = home.folder / "objects" / digest
        path.chmod(0o644)
        path.write_bytes(b"rotten" + path.read_bytes()[6:])


def test_an_active_release_that_is_not_served_at_a_start_gives_way_to_the_fallback(home):
    async def life():
        await two_committed(home)
        home.scripted.refresh_fault = Stale("expired")
        async with living(home, answer=refusing(home.fitted("2").variant)) as device:
            await device.until(lambda: device.runs == "1")
            await device.quiet()
            assert device.record.state == Idle(active=home.fitted("1"))
            assert home.report.active == running(home.fitted("1"))

    run(life())


@pytest.mark.parametrize("what", ["variant", "manifest"])
def test_a_rotten_active_release_gives_way_to_the_fallback_and_is_fetched_again(home, what):
    async def life():
        await two_committed(home)
        rot(home, getattr(home.fitted("2"), what))
        async with living(home) as device:
            await device.commits("2")
            assert [spec.version for spec in device.worker.served] == ["1", "2"]
            assert device.store.verify(home.fitted("2").variant)
            assert device.record.state.fallback == home.fitted("1")

    run(life())


def test_with_every_slot_rotten_nothing_is_served_until_it_is_fetched_again(home):
    async def life():
        await two_committed(home)
        rot(home, home.fitted("1").variant, home.fitted("2").variant)
        async with living(home) as device:
            await device.commits("2")
            assert [spec.version for spec in device.worker.served] == ["2"]

    run(life())


@pytest.mark.parametrize("gone", ["corrupt", "missing"])
def test_a_manifest_that_is_lost_while_its_release_is_fetched_is_laid_down_again(home, gone):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            home.broker.lose(ROOT.chunk(sha256(pieces("2")[7])))
            order_two(home, device)
            device.update.poke()
            await device.until(lambda: isinstance(device.record.state, Fetching))
        rot(home, home.fitted("2").manifest)
        if gone == "missing":
            (home.folder / "objects" / home.fitted("2").manifest).unlink()
        home.broker.heal()
        async with living(home) as device:
            await device.commits("2")
            assert device.record.known_bad == ()

    run(life())


def test_a_trial_whose_files_rot_between_two_lives_is_fetched_again(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            device.spawning.clear()
            order_two(home, device)
            device.update.poke()
            await device.until(lambda: isinstance(device.record.state, Trial))
        rot(home, home.fitted("2").variant, home.fitted("2").manifest)
        async with living(home) as device:
            await device.commits("2")
            assert device.record.state.fallback == home.fitted("1")

    run(life())


def test_a_canary_that_cannot_be_started_is_tried_again_and_condemns_nothing(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")
            spawn, refusals = device.update._jobs._spawn_canary, 0

            async def refuse():
                nonlocal refusals
                refusals += 1
                if refusals > 2:
                    return await spawn()
                raise Unavailable("canary cannot be started: no memory")

            device.update._jobs._spawn_canary = refuse
            order_two(home, device)
            device.update.poke()
            await device.commits("2")
            assert refusals == 3

    run(life())


def test_a_fault_in_a_job_ends_the_loop_instead_of_leaving_it_waiting(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            home.publish("2")

            async def broken():
                raise AssertionError("a bug")

            device.update._jobs._spawn_canary = broken
            order_two(home, device)
            device.update.poke()
            with pytest.raises(AssertionError, match="a bug"):
                await device.until(lambda: False)
            device.running = asyncio.create_task(asyncio.Event().wait())

    run(life())


# looking at the plan


def test_many_pokes_are_one_look(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            before = home.scripted.refreshes
            for _ in range(1000):
                device.update.poke()
            await device.quiet()
            assert home.scripted.refreshes == before + 1

    run(life())


def test_pokes_while_it_looks_make_it_look_once_more(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            before = home.scripted.refreshes
            home.scripted.open.clear()
            device.update.poke()
            await device.until(lambda: home.scripted.refreshes == before + 1)
            for _ in range(1000):
                device.update.poke()
            home.scripted.open.set()
            await device.quiet()
            assert home.scripted.refreshes == before + 2

    run(life())


def test_its_own_reading_of_the_index_makes_no_endless_loop(tmp_path):
    home = Home(tmp_path / "device")
    operator = Operator(tmp_path / "operator", home.clock)
    home.broker = operator.broker
    link = MemoryLink(operator.broker)
    home.trust = trust = trusting(operator, link, tmp_path / "device" / "trust")
    home.publish("11")
    operator.repository.add_release(home.manifests["11"])
    operator.repository.set_plan(home.order(2, stable="11"))
    operator.publish()

    async def life():
        async with living(home, link=link) as device:
            loop = asyncio.get_running_loop()
            trust.watch(lambda: loop.call_soon_threadsafe(device.update.poke))
            await device.commits("11")
            looks = operator.broker.subscribed[ROOT.meta("timestamp")]
            assert looks <= 2
            operator.repository.sign_timestamp()
            operator.publish()
            await device.until(lambda: operator.broker.subscribed[ROOT.meta("timestamp")] == looks + 1)
            await device.quiet()
            await asyncio.sleep(0.02)
            assert operator.broker.subscribed[ROOT.meta("timestamp")] == looks + 1

    run(life())


def test_while_the_link_is_down_nobody_looks_and_once_it_is_back_one_look_is_enough(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            before = home.scripted.refreshes
            device.link.drop()
            await device.until(lambda: not device.connection.is_up)
            home.publish("2")
            order_two(home, device)
            await device.looks_again()
            assert home.scripted.refreshes == before
            device.link.restore()
            await device.commits("2")
            assert home.scripted.refreshes == before + 1

    run(life())


def test_the_plan_is_read_again_after_a_while_without_being_told(home):
    async def life():
        async with living(home, recheck_s=0.02) as device:
            await device.commits("1")
            home.publish("2")
            order_two(home, device)
            await device.commits("2")

    run(life())


class SlowLink(MemoryLink):
    """What arrives waits until the test lets it through."""

    def __init__(self, broker):
        super().__init__(broker)
        self.held = []

    def receive(self, message):
        self.held.append(message)

    def let_one_through(self):
        super().receive(self.held.pop(0))


@pytest.mark.parametrize("turns", range(8))
def test_a_download_that_is_cancelled_at_the_moment_a_chunk_comes_ends(home, turns):
    async def life():
        link = SlowLink(home.broker)
        async with living(home, link=link) as device:
            await device.until(lambda: link.held)
            link.let_one_through()
            for _ in range(turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(5.0):
                await device.update._jobs.cancel()
            assert link.filters == ()

    run(life())
