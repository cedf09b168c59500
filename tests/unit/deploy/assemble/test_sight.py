"""Each pipeline is explained by the plan of the stream that it follows."""

import json

import msgspec
import pytest
from msgspec.structs import replace

from agent.wire import codec
from agent.wire.reasons import Reason
from agent.wire.reports import Capabilities, Phase, Report
from agent.wire.topics import STATUS, DeviceId
from deploy.adapters import workspace
from deploy.assemble.desk import sight
from deploy.cli.main import main
from deploy.core.devices import why
from tests.fakes.controlled import Controlled

PI = DeviceId("pi-1")


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """A rollout on stream `main`; `pi-1` has a pipeline that follows it, and one that follows another."""
    fleet = Controlled(tmp_path)
    fleet.puppets.appear([PI])
    with fleet.desk() as desk:
        desk.assert_stands()
        fleet.start(desk, "100%")
    serial = fleet.plan().serial
    told = Report(
        device=PI,
        at=fleet.clock.now(),
        phase=Phase.IDLE,
        plan_serial=serial,
        stream="main",
        capabilities=Capabilities(agent="1.0"),
    )
    door = replace(told, pipeline="door", stream="door", phase=Phase.HELD, reason=Reason.VETO, detail="night")
    reports = {"report": told, "report/door": door}
    stands = fleet.root.device(STATUS, PI)
    messages = [(stands, b'{"schema":1,"state":"online","session":"s"}')]
    for leaf, report in reports.items():
        messages.append((stands.replace("/status", f"/{leaf}"), codec.encode(report)))
    kept = sight.Kept(root=fleet.root.prefix, at=fleet.clock.now(), missing=(), messages=tuple(messages))
    (fleet.workspace.folder / sight.KEPT).write_bytes(msgspec.msgpack.encode(kept))
    workspace.write_settings(fleet.workspace)
    monkeypatch.chdir(fleet.workspace.folder)
    return sight.remember(fleet.workspace)


def test_a_further_pipeline_has_nothing_to_do_with_the_plan_of_another_stream(seen):
    case_of = seen.cases("main")
    assert why.explain(PI, case_of(PI, "main")).code == "pending"
    door = case_of(PI, "door")
    assert door.plan is None
    assert [(row.pipeline, row.code) for row in seen.rows("main")] == [
        ("main", "pending"),
        ("door", "no-plan"),
    ]


@pytest.mark.usefixtures("seen")
def test_why_says_a_word_of_the_other_pipelines_and_all_of_the_one_that_is_asked_for(capsys):
    assert main(["why", "pi-1", "--offline", "--json"]) == 0
    (besides,) = json.loads(capsys.readouterr().out)["besides"]
    assert besides.startswith("pipeline door: no-plan, ")
    assert "(shoal why pi-1/door)" in besides
    assert main(["why", "pi-1/door", "--offline"]) == 0
    assert capsys.readouterr().out.startswith("pi-1/door: no-plan\n")
    assert main(["why", "pi-1/gate", "--offline"]) == 1
    assert "pi-1 tells of no pipeline gate: there is main, door" in capsys.readouterr().err
