"""A download that meets forged or missing pieces, a full disk, or its end."""

import asyncio
import dataclasses

import pytest
from msgspec.structs import replace

from agent.core.update.known_bad import Bad
from agent.core.update.lifecycle import Fetching
from agent.core.update.window import Patience
from agent.wire.errors import DiskFull, Unavailable
from agent.wire.reasons import Reason
from agent.wire.reports import Phase
from agent.wire.topics import sha256
from tests.fakes.link import MemoryLink
from tests.scenario.one_device.home import ROOT, manifest, pieces
from tests.scenario.one_device.life import living, run
from tests.scenario.update.steps import offer_two, order_two


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
            offer_two(device)
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


def test_forged_chunks_condemn_no_release(home):
    """Else whoever can write to one topic could ban a release from a whole fleet for ever."""

    async def life():
        async with living(home) as device:
            jobs = device.update._jobs
            jobs._supply = dataclasses.replace(jobs._supply, patience=Patience(refusal_delay_s=0.0))
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
