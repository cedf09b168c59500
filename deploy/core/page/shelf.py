"""Releases as the page tells them."""

from collections import Counter
from collections.abc import Iterable, Mapping

from agent.wire.documents import Artifact, Manifest, Plan, ReleaseRef, Variant
from agent.wire.topics import Digest
from deploy.core.factory.evaluation.document import Report
from deploy.core.page.words import NAMED_MAX, ReleaseBrief, ReleaseNow, Row, VariantSaid
from deploy.core.release import scored, versions
from deploy.core.rollouts.state import Rollout


def briefs(
    released: Iterable[tuple[ReleaseRef, Manifest]], plans: Iterable[Plan], rows: Iterable[Row]
) -> tuple[ReleaseBrief, ...]:
    """By name, the newest version first, as the repository orders them."""
    running, plans = Counter(row.running for row in rows), tuple(plans)
    found = [brief(ref, manifest, plans, running) for ref, manifest in released]
    return tuple(sorted(found, key=lambda each: (each.name, versions.key(each.version)), reverse=True))


def brief(
    ref: ReleaseRef, manifest: Manifest, plans: Iterable[Plan], running: Mapping[str, int]
) -> ReleaseBrief:
    plans = tuple(plans)
    files = {ref.manifest, *(variant.artifact.digest for variant in manifest.variants)}
    return ReleaseBrief(
        name=ref.name,
        version=ref.version,
        manifest=ref.manifest,
        evaluation=scored.in_words(manifest.evaluation),
        running=running.get(f"{ref.name}@{ref.version}", 0),
        stable=tuple(plan.stream for plan in plans if plan.stable == ref),
        candidate=tuple(plan.stream for plan in plans if plan.candidate == ref),
        revoked=any(files & set(plan.revoked) for plan in plans),
    )


def told(
    short: ReleaseBrief,
    manifest: Manifest,
    report: Report | None,
    rows: Iterable[Row],
    rollouts: Iterable[Rollout],
) -> ReleaseNow:
    named = f"{short.name}@{short.version}"
    on = [row.key for row in rows if row.running == named]
    of = [each.name for each in rollouts if each.order.release.manifest == short.manifest]
    return ReleaseNow(
        brief=short,
        description=manifest.description,
        licence=manifest.licence,
        variants=tuple(map(_variant, manifest.variants)),
        input=manifest.input,
        output=manifest.output,
        labels=manifest.labels is not None,
        golden_tolerance=manifest.golden.tolerance,
        figures=manifest.evaluation,
        report=report,
        provenance=manifest.provenance,
        running_on=tuple(on[:NAMED_MAX]),
        rollouts=tuple(reversed(of)),
    )


def _variant(variant: Variant) -> VariantSaid:
    return VariantSaid(
        file=variant.file,
        delegate=str(variant.delegate),
        digest=variant.artifact.digest,
        bytes=variant.artifact.length,
        pulled_bytes=_pulled(variant.artifact),
        minimum_runtime=variant.minimum_runtime or "",
        runtime_reason=variant.runtime_reason,
        patches=tuple(Digest(patch.base) for patch in variant.patches),
    )


def _pulled(artifact: Artifact) -> int:
    """A chunk that occurs twice is pulled once."""
    return sum(chunk.published_bytes for chunk in dict.fromkeys(artifact.chunks))
