"""What a process loads: the supervisor stays small, and the device never sees the operator."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = {"starlette", "uvicorn", "prometheus_client", "anyio"}
HEAVY = {"numpy", "PIL", "ai_edge_litert", "tflite_runtime", "tensorflow", "picamera2", "cv2"}

LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded_by(*modules: str) -> set[str]:
    """The top packages in memory after a fresh interpreter has imported these modules."""
    child = subprocess.run(
        [sys.executable, "-c", LOADED, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert child.returncode == 0, child.stderr
    return set(json.loads(child.stdout))


def modules_of(package: str) -> list[str]:
    paths = sorted((ROOT / package).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize(
    "modules",
    [
        (
            "agent.core.update.lifecycle",
            "agent.core.update.trial",
            "agent.core.update.probation",
            "agent.core.telemetry.latency",
        ),
        ("agent.core.update.admission", "agent.core.update.cohort", "agent.core.serving.delegate"),
        (
            "agent.loops.release.update",
            "agent.loops.telling.service",
            "agent.loops.keeping.keeper",
            "agent.loops.connection",
        ),
        ("agent.adapters.link_mqtt", "agent.adapters.trust_tuf", "agent.adapters.store_files"),
        ("agent.adapters.child_process",),
        ("agent.assemble.supervisor",),
    ],
    ids=lambda modules: modules[0],
)
def test_the_supervisor_loads_neither_arrays_nor_a_runtime(modules):
    """Native code can kill its process: it belongs into the children."""
    assert loaded_by(*modules) & HEAVY == set()


def test_a_device_without_a_page_loads_nothing_of_what_pages_are_made_of():
    """They come with `[web]`, and cost memory and a second of imports on a small board."""
    assert loaded_by("agent.assemble.supervisor", "agent.cli.run") & PAGES == set()


def test_no_command_of_the_operator_but_the_page_itself_loads_what_pages_are_made_of():
    commands = {f"deploy.cli.{place.rpartition('.')[0]}" for place in COMMANDS.values()}
    assert loaded_by(*commands - {"deploy.cli.fleet.page_command"}) & PAGES == set()


def test_every_module_of_the_device_imports_and_none_loads_the_operator():
    assert "deploy" not in loaded_by(*modules_of("agent"))


def test_the_wire_needs_nothing_but_its_codec():
    foreign = {name for name in loaded_by(*modules_of("agent/wire")) if name not in sys.stdlib_module_names}
    assert foreign - loaded_by("msgspec") == {"agent"}
