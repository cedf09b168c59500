"""Devices that have reported, as a fleet that a document speaks of has them."""

from collections.abc import Collection
from pathlib import Path

from agent.adapters.clock_system import SystemClock
from agent.wire import topics
from deploy.assemble.desk import controlling, workspaces
from deploy.assemble.desk.session import connected
from tests.fakes.puppets import Puppets


def appear(folder: Path, names: Collection[str]) -> None:
    """Under their seals, where they were enrolled."""
    workspace = workspaces.find(folder)
    found, key_of = [topics.device_id(name) for name in names], controlling.seal_keys(workspace)
    keys = {device: key for device in found if (key := key_of(device)) is not None}
    with connected(workspace) as session:
        Puppets(session.link, session.root, SystemClock().now(), keys).appear(found)
