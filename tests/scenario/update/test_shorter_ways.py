"""An update that takes what is on the device already, and no faster than it may."""

from msgspec.structs import replace

from agent.wire.documents import ZSTD_PATCH, Patch
from agent.wire.topics import sha256
from deploy.adapters.packer_zstd import ZstandardPacker
from tests.scenario.one_device.home import ROOT, artifact, manifest, pieces
from tests.scenario.one_device.life import living, run
from tests.scenario.update.steps import order_two

HEAD = b"another head" * 15
PARTS = (*pieces("1")[:-1], HEAD)


def offer(home, *patches):
    """Release 2, which is release 1 with another last piece."""
    variant = replace(manifest("2").variants[0], artifact=artifact(*PARTS), patches=patches)
    home.broker.publish(ROOT.chunk(sha256(HEAD)), HEAD, retain=True)
    home.publish("2", variants=(variant,))


def fetched(home):
    return [event.fields for event in home.events if event.name == "update.fetched"][-1]


def updated(home, *patches):
    """The chunks that were delivered for it."""

    async def life():
        async with living(home) as device:
            await device.commits("1")
            before = home.chunks_delivered
            offer(home, *patches)
            order_two(home, device)
            device.update.poke()
            await device.commits("2")
            counts.append(home.chunks_delivered - before)

    counts = []
    run(life())
    return counts[0]


def test_only_what_the_release_before_does_not_hold_is_pulled(home):
    assert updated(home) == 1
    shared = sum(map(len, pieces("1")[:-1]))
    assert (fetched(home)["bytes"], fetched(home)["reused_bytes"]) == (len(HEAD), shared)


def test_a_patch_of_the_running_release_makes_the_next_one(home):
    base, new = b"".join(pieces("1")), b"".join(PARTS)
    made = ZstandardPacker().patch(base, new)
    assert len(made) < len(HEAD)
    home.broker.publish(ROOT.chunk(sha256(made)), made, retain=True)
    patch = Patch(base=sha256(base), base_bytes=len(base), algorithm=ZSTD_PATCH, artifact=artifact(made))
    assert updated(home, patch) == 1
    assert (fetched(home)["bytes"], fetched(home)["patches"]) == (len(made), 1)
    assert home.broker.delivered[ROOT.chunk(sha256(HEAD))] == 0


class Noting:
    def __init__(self, supply, caps):
        self.supply, self.caps = supply, caps

    async def bring(self, needs, held, cap):
        self.caps.append(cap)
        return await self.supply.bring(needs, held, cap)


def test_the_plans_cap_is_the_downloads(home):
    caps = []

    async def life():
        async with living(home) as device:
            await device.commits("1")
            device.update._jobs._supply = Noting(device.update._jobs._supply, caps)
            offer(home)
            home.order(2, stable="1", candidate="2", rate_bytes_s=1_000_000.0)
            device.update.poke()
            await device.commits("2")

    run(life())
    assert caps == [1_000_000.0]
