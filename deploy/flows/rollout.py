"""Offers a release to a share of the fleet: one signed plan."""

from dataclasses import dataclass

from agent.wire.documents import Plan, ReleaseRef
from agent.wire.topics import DeviceId, Digest
from deploy.core import plans, versions
from deploy.core.plans import Known, Wave
from deploy.core.refusal import Refused
from deploy.ports.repository import Repository


@dataclass(frozen=True, slots=True)
class RolledOut:
    plan: Plan
    candidate: ReleaseRef
    chosen: tuple[DeviceId, ...]
    """The known devices within the cut; the plan's match may exclude some of them."""
    known: int


def roll_out(repository: Repository, stream: str, wanted: str, wave: Wave, known: Known) -> RolledOut:
    """Sign the plan; it is on its way once it is published.

    Raises:
        Refused: there is no such release, or it may not be rolled out.
        ConfigError: the online keys are not at hand.
    """
    candidate = versions.choose(repository.releases(), wanted)
    files = digests(repository, candidate)
    plan = plans.roll_out(repository.plan(stream), stream, candidate, files, wave, known)
    repository.set_plan(plan)
    return RolledOut(plan, candidate, plans.chosen(plan, known), known.count)


def digests(repository: Repository, ref: ReleaseRef) -> frozenset[Digest]:
    """What a revocation of the release names: its manifest and its variants."""
    manifest = repository.manifest(ref.name, ref.version)
    if manifest is None:
        raise Refused(f"the repository has lost the manifest of {ref.name}@{ref.version}")
    return frozenset({ref.manifest, *(variant.artifact.digest for variant in manifest.variants)})
