"""A release that needs a newer runtime than a device has: nobody pulls it, and everybody says why."""

import importlib.util

import pytest
from msgspec.structs import replace

from agent.wire.reasons import Reason
from agent.wire.reports import Phase
from tests import models, rig

NEEDED, WHY = "2.17.0", "FULLY_CONNECTED version 12"
OLDER = '[runtime]\nkind = "tflite"\n'


@pytest.fixture
def fleet(tmp_path, any_broker):
    if importlib.util.find_spec("tflite_runtime") is None:
        pytest.skip("tflite-runtime is not installed")
    return rig.fleet(tmp_path, any_broker.url)


def operator(fleet, *words):
    done = rig.shoal(*words, "--workspace", str(fleet.workspace.folder), check=False)
    return done.stdout + done.stderr


def test_a_device_of_an_older_runtime_refuses_it_before_it_downloads(fleet, tmp_path):
    like = fleet.release(models.shared(models.TINY), "1")
    fleet.roll_out("1")
    with rig.listening(fleet) as ear, rig.Agent(tmp_path, fleet, more=OLDER):
        # Neither names a runtime, as the manifests of releases from before there was one.
        assert like.variants[0].minimum_runtime is None
        assert ear.ended("1")["outcome"] == "committed"
        needy = replace(like.variants[0], minimum_runtime=NEEDED, runtime_reason=WHY)
        fleet.release_variants(like, "2", [needy])
        planned = operator(fleet, "rollout", "plan", "rig@2", "--waves=all")
        fleet.roll_out("2")

        found = ear.wait(lambda heard: heard.report is not None and heard.report.phase is Phase.HELD).report

        assert found.reason is Reason.RUNTIME_TOO_OLD
        assert f"needs runtime {NEEDED} ({WHY}); this device has tflite-runtime 2.14" in found.detail
        fetched = [event.fields for event in ear.heard.events if event.name == "update.fetched"]
        assert len(fetched) == 1, "version 1 was, version 2 never"
        assert WHY in planned
        assert WHY in operator(fleet, "why", rig.DEVICE)
