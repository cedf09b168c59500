from pathlib import Path

import pytest

from agent.wire.documents import Fit
from deploy.adapters.workspace import Fleet, Settings, Workspace
from deploy.assemble.desk.release import Request, patch_base
from deploy.core.refusal import Refused
from deploy.core.release.variants import Options
from tests.fakes.clock import FakeClock
from tests.fakes.operator import Operator


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Releases 1, 2 and 10 of cats; 1 is stable on stream home."""
    operator = Operator(tmp_path, FakeClock())
    for version in ("2", "10"):
        operator.release(version)
    return operator


def base(operator: Operator, version: str, patch_from: str, stream: str = "home") -> str | None:
    workspace = Workspace(operator.folder, Settings(fleet=Fleet(stream=stream)))
    request = Request(
        models=(),
        name="cats",
        version=version,
        options=Options(Fit.SQUASH),
        labels=None,
        golden=(),
        golden_model=None,
        tolerance=0.1,
        licence="",
        description="",
        patch_from=patch_from,
    )
    found = patch_base(operator.repository, workspace, request)
    return found and found.version


@pytest.mark.parametrize(
    ("version", "patch_from", "expected"),
    [("11", "", "10"), ("3", "", "2"), ("1", "", None), ("11", "none", None), ("11", "cats@2", "2"),
     ("11", "cats", "10"), ("11", "stable", "1")],
)  # fmt: skip
def test_patches_are_made_from_the_release_that_devices_are_likely_to_have(
    operator: Operator, version: str, patch_from: str, expected: str | None
) -> None:
    assert base(operator, version, patch_from) == expected


def test_what_cannot_be_meant_is_refused(operator: Operator) -> None:
    with pytest.raises(Refused, match="stream door has no stable release"):
        base(operator, "11", "stable", stream="door")
    with pytest.raises(Refused, match="released are 1, 2, 10"):
        base(operator, "11", "cats@9")
