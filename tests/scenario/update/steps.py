"""Steps that several of these stories take."""

from agent.adapters.trust_tuf import TufTrust
from agent.core.update.lifecycle import Probation
from agent.wire.reports import Ended, Outcome, Running


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


def trusting(operator, link, folder):
    return TufTrust(link, operator.root, folder, operator.pinned, operator.clock, 0.5)


def order_two(home, _):
    home.order(2, stable="1", candidate="2")


def offer_two(device):
    """A second release is there, and the device is told to look."""
    device.home.publish("2")
    order_two(device.home, device)
    device.update.poke()


async def on_probation(device, version="2", **changes):
    home = device.home
    home.publish(version)
    home.order(device.record.plan_serial + 1, stable="1", candidate=version, **changes)
    device.update.poke()
    await device.until(
        lambda: isinstance(device.record.state, Probation) and device.runs == version, frames=True
    )
