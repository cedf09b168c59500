"""What `shoal why` says of a real device, held against a plan that changes, over a real broker."""

import time
from datetime import timedelta

import pytest

from agent.adapters.clock_system import SystemClock
from agent.core.update import cohort
from agent.wire.documents import MaintenanceWindow, Plan
from agent.wire.reasons import Reason
from deploy.adapters.broker_local import BrokerKind
from deploy.assemble.desk import publishing, sight
from deploy.assemble.desk.session import connected
from deploy.cli.main import main
from deploy.core.devices import why
from deploy.core.devices.causes import Cause
from deploy.flows.devices import Patience
from tests import rig
from tests.fakes.operator import manifest

PATIENCE_S = 60.0


@pytest.fixture
def fleet(tmp_path, brokers):
    made = rig.fleet(tmp_path, brokers(BrokerKind.MOSQUITTO).url)
    made.repository().add_release(manifest("rig", "1"))
    publish(made)
    return made


def publish(fleet):
    with connected(fleet.workspace) as session:
        publishing.send(session, fleet.workspace, fleet.repository(), (), lambda *_: None)


def order(fleet, serial, **changes):
    (release,) = fleet.repository().releases()
    offer = {"candidate": release, "cut": {"*": cohort.EVERYBODY}, "salt": "s"} | changes
    fleet.repository().set_plan(Plan(stream="main", serial=serial, **offer))
    publish(fleet)


def explained(fleet, wanted):
    """As soon as that is the code."""
    ends, found = time.monotonic() + PATIENCE_S, None
    while time.monotonic() < ends and (found is None or not wanted(found)):
        time.sleep(0.1)  # not as fast as it can: the device shares this machine
        cases = sight.look(fleet.workspace, Patience()).cases("main")
        found = why.explain(rig.DEVICE, cases(rig.DEVICE, "main"))
    assert found is not None
    assert wanted(found), found
    return found


def closed():
    """A window of one minute that has passed today."""
    opens = SystemClock().now() - timedelta(hours=2)
    days = tuple(range(7))
    return MaintenanceWindow(days=days, start_minute=opens.hour * 60 + opens.minute, minutes=1)


CAUSES = [
    (Reason.NOT_MATCHED, {"match": ("tag=elsewhere",)}, "the plan wants tag=elsewhere, this device has none"),
    (Reason.OUTSIDE_CUT, {"cut": {"*": cohort.NOBODY}}, "is not below 0.0000"),
    (Reason.PAUSED, {"paused": True}, "has paused the rollout"),
    (Reason.WINDOW, {"windows": (closed(),)}, "the next one opens at"),
    (Reason.AGENT_TOO_OLD, {"minimum_agent": "99"}, "the plan needs at least 99"),
    (Reason.WAITING, {"spread_s": 1e9}, "rig 1 in "),
]


def test_a_device_says_what_holds_it_until_it_is_gone_and_that_is_remembered(fleet, tmp_path, capsys):
    with rig.Agent(tmp_path, fleet) as agent:
        found = explained(fleet, lambda found: found.online and found.code is Reason.NO_PLAN)
        assert found.serves == ""
        for serial, (code, changes, said) in enumerate(CAUSES, 1):
            order(fleet, serial, **changes)
            found = explained(fleet, lambda found, serial=serial: found.seen_serial == serial)
            assert found.code is code
            assert said in found.why
        agent.kill()
    found = explained(fleet, lambda found: not found.online)
    assert found.code is Cause.OFFLINE
    assert "its turn within the rollout's spread has not come" in found.why

    where = ("--workspace", str(fleet.workspace.folder))
    assert main(["why", rig.DEVICE, "--offline", *where]) == 0
    assert capsys.readouterr().out.startswith(f"{rig.DEVICE}: offline\n")
    assert main(["why", "rgi", "--offline", *where]) == 1
    assert "did you mean rig?" in capsys.readouterr().err
