"""Asks one device for something: draws up the command, signs it, sends it, waits."""

import secrets
from datetime import timedelta
from typing import Final

from agent.adapters.clock_system import SystemClock
from agent.wire import codec, topics
from agent.wire.commands import LIFE_MAX, Action, Command
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import workspaces
from deploy.assemble.desk.session import connected
from deploy.core import names
from deploy.flows import ask as flow
from deploy.flows.ask import Answered, Silent

LIFE: Final = timedelta(minutes=2)
"""Long enough for clocks that differ by a minute."""


def ask(workspace: Workspace, device: str, pipeline: str, action: Action, wait_s: float) -> Answered | Silent:
    """
    Raises:
        Refused: the name of the pipeline is none.
        PortError: the broker cannot be reached.
        ConfigError: a setting or the device's id is wrong, or the online keys are not at hand.
    """
    now = SystemClock().now()
    command = Command(
        id=secrets.token_hex(16),
        device=topics.device_id(device),
        pipeline=names.segment("pipeline", pipeline),
        issued_at=now,
        expires_at=now + min(LIFE, LIFE_MAX),
        action=action,
    )
    envelope = workspaces.open_repository(workspace).sign_command(codec.encode(command))
    with connected(workspace) as session:
        return flow.ask(session.link, session.root, command, envelope, wait_s)
