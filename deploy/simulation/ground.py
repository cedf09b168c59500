"""What a simulated fleet stands on: a workspace, enrolled devices, two releases, a stable plan."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.adapters.clock_system import SystemClock
from agent.wire import codec, seal
from agent.wire.documents import (
    Artifact,
    Delegate,
    Dtype,
    Golden,
    GoldenCase,
    GoldenSet,
    InputContract,
    Manifest,
    OutputContract,
    Plan,
    ReleaseRef,
    Variant,
)
from agent.wire.reports import Phase, Report
from agent.wire.topics import Digest
from deploy.adapters import workspace as adapter
from deploy.adapters.ledger_sqlite import SqliteLedger
from deploy.adapters.workspace import ArtifactFolder, Workspace
from deploy.assemble.desk import workspaces
from deploy.core.release.chunking import cut
from deploy.core.rollouts.words import Enrolled
from deploy.simulation import scenario, telling
from deploy.simulation.children import LABELS
from deploy.simulation.scenario import Scenario
from deploy.simulation.telling import CANDIDATE, STABLE

MODEL: Final = "simulated"
SIZE_PX: Final = 224


@dataclass(frozen=True, slots=True)
class Ground:
    workspace: Workspace
    stable: ReleaseRef
    candidate_ref: ReleaseRef
    candidate: Manifest

    @property
    def keys(self) -> Path:
        """Of the devices' seals."""
        return self.workspace.folder / "keys" / "devices"

    @property
    def bytes_each(self) -> int:
        """What a device that has nothing of the candidate pulls."""
        variant = self.candidate.variants[0]
        others = [self.candidate.golden.artifact, self.candidate.labels]
        return variant.artifact.length + sum(other.length for other in others if other is not None)


def lay(folder: Path, url: str, root: str, told: Scenario, seed: int, devices: int) -> Ground:
    """Nothing of it is on the broker yet.

    Raises:
        ConfigError: the address is none.
        StoreFailed: the disk refused.
    """
    workspace = workspaces.create(folder, fleet="simulated", url=url, root=root)
    repository = workspaces.open_repository(workspace)
    stable = _release(workspace, STABLE, told.fleet.model_bytes, seed)
    candidate = _release(workspace, CANDIDATE, told.fleet.model_bytes, seed)
    ref = repository.add_release(stable)
    candidate_ref = repository.add_release(candidate)
    policy, stream = told.rollout.policy, workspace.settings.fleet.stream
    repository.set_plan(
        Plan(stream=stream, serial=1, stable=ref, trial=policy.trial, probation=policy.probation)
    )
    _enrol(workspace, told, devices)
    return Ground(workspace, ref, candidate_ref, candidate)


def _enrol(workspace: Workspace, told: Scenario, devices: int) -> None:
    """Every device has a key of its own for its seals."""
    entries = []
    for number, group in enumerate(scenario.groups(told.fleet, devices)):
        device = telling.device_id(number)
        secret = hashlib.sha256(f"simulated seal of {device}".encode()).digest()
        path = workspace.folder / "keys" / "devices" / f"{device}.seal"
        adapter.write_file(path, seal.key_text(seal.DeviceKey(secret)))
        entries.append(Enrolled(device=device, tags=group.tags, hardware=group.hardware, sealed=True))
    SqliteLedger(workspace.ledger, SystemClock()).append(entries, after=0)


def _release(workspace: Workspace, version: str, model_bytes: int, seed: int) -> Manifest:
    """A model that no runtime could load: none will be asked to."""
    return Manifest(
        name=MODEL,
        version=version,
        variants=(
            Variant(
                artifact=_kept(workspace, _noise(f"{seed}/{version}", model_bytes)),
                file=f"{MODEL}.tflite",
                delegate=Delegate.CPU,
            ),
        ),
        input=InputContract(height_px=SIZE_PX, width_px=SIZE_PX, channels=3, dtype=Dtype.UINT8),
        output=OutputContract(classes=len(LABELS), dtype=Dtype.UINT8),
        labels=_kept(workspace, "\n".join(LABELS).encode()),
        golden=Golden(artifact=_kept(workspace, codec.encode(_golden())), tolerance=0.05),
    )


def _golden() -> GoldenSet:
    case = GoldenCase(png=b"no picture: nothing here computes", expected=((1, 0.9), (2, 0.1)))
    return GoldenSet(cases=(case,))


def _noise(seed: str, length: int) -> bytes:
    """The same bytes for the same seed, that no packing makes shorter."""
    return hashlib.shake_256(seed.encode()).digest(length)


def _kept(workspace: Workspace, content: bytes) -> Artifact:
    ArtifactFolder(workspace.artifacts).put(content)
    return cut(content)


def has_proven(report: Report | None, release: Digest) -> bool:
    """Whether the device serves it and has committed it."""
    return (
        report is not None
        and report.phase not in {Phase.TRIAL, Phase.PROBATION}
        and report.active is not None
        and report.active.manifest == release
    )
