"""A release on its whole way: fetched, proven, activated, watched, committed."""

import asyncio

from msgspec.structs import replace

from agent.core.update.lifecycle import Idle, Record
from agent.wire.reports import Event, Phase, Presence, Report, Status
from tests.fakes.link import MemoryLink
from tests.fakes.operator import Operator
from tests.scenario.one_device.home import CHUNKS, DEVICE, PROBATION, TRIAL, Home
from tests.scenario.one_device.life import CAPABILITIES, living, run
from tests.scenario.update.steps import committed, offer_two, running, trusting


def test_a_release_is_fetched_proven_activated_watched_and_committed(home):
    async def life():
        async with living(home) as device:
            await device.commits("1")
            offer_two(device)
            await device.commits("2")
            first, second = home.fitted("1"), home.fitted("2")
            handover = device.record.handover
            assert (handover.manifest, handover.before.manifest) == (second.manifest, first.manifest)
            assert (handover.shadow_frames, handover.agreed_frames) == (2, 2)
            assert replace(device.record, handover=None) == Record(
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
    assert home.report.before == home.store().load().handover.before
    shown = home.report.serving
    needed = PROBATION.healthy_windows * PROBATION.window_frames
    assert (shown.manifest, shown.errors, shown.agreed_frames) == (second.manifest, 0, 2)
    assert shown.invoke_ms.count == shown.frames == sum(shown.classes.values()) >= needed
    assert replace(home.report, serving=None, before=None, number=0) == Report(
        device=DEVICE,
        at=at,
        phase=Phase.IDLE,
        active=running(second),
        last=committed(second),
        plan_serial=2,
        capabilities=CAPABILITIES,
        stream="main",
    )
    assert home.phases == ["idle", *["fetching", "trial", "probation", "idle"] * 2]
    size = home.manifests["2"].variants[0].artifact.length
    assert home.events[-5:] == [
        Event(
            at=at,
            number=5,
            name="update.fetched",
            fields={"name": "cats", "version": "2", "bytes": size, "reused_bytes": 0, "patches": 0},
        ),
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
    assert home.statuses == [Status(state=Presence.ONLINE, session="session", at=at, beat_s=60.0)]
    assert home.chunks_delivered == 2 * CHUNKS


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
