"""What the page tells on request, made from what the onlooker knows and from what lies in the workspace."""

from typing import Final

import msgspec

from agent.core.telemetry.latency import percentiles
from agent.wire.documents import Manifest, Plan, ReleaseRef
from agent.wire.errors import AgentError, StoreFailed
from agent.wire.reports import Evidence, Percentiles
from agent.wire.topics import MAIN, DeviceId
from deploy.adapters.secret_files import read_secret
from deploy.adapters.workspace import Workspace
from deploy.assemble.controller import auditing
from deploy.assemble.desk import controlling
from deploy.core import history
from deploy.core.devices import why
from deploy.core.factory.evaluation import document
from deploy.core.history import Told
from deploy.core.page import shelf, steering, table
from deploy.core.page.steering import Beside
from deploy.core.page.words import (
    LINES_MAX,
    Audit,
    DeviceNow,
    Member,
    Pipeline,
    ReleaseBrief,
    ReleaseNow,
    Releases,
    RolloutNow,
    Rollouts,
    Row,
    Verified,
)
from deploy.core.refusal import Refused
from deploy.core.rollouts import standing
from deploy.core.rollouts.picture import of_pipeline
from deploy.core.rollouts.state import Rollout
from deploy.page.onlooker import Onlooker

UNSIGNED: Final = (
    "plan {} stands in the ledger and is not signed yet, so devices follow the one before it: where that "
    "lasts, the log of shoal serve says why"
)


class Unknown(AgentError):
    """There is nothing of this name."""


class Telling:
    """On the onlooker's thread."""

    def __init__(self, onlooker: Onlooker) -> None:
        self._onlooker = onlooker
        self._manifests: dict[str, Manifest] = {}
        """By digest; a release is immutable."""

    def device(self, device: str) -> DeviceNow:
        """Without its history (`lines_about`).

        Raises:
            Unknown: nobody knows it.
        """
        rows = [row for row in self._onlooker.rows.values() if row.device == device]
        if not rows:
            raise Unknown(self._nobody(device))
        ordered = sorted(rows, key=lambda row: (row.pipeline != MAIN, row.pipeline))
        member = next((each for name, each in self._onlooker.fleet.members.items() if name == device), None)
        return DeviceNow(
            device=device,
            at=self._onlooker.picture.at,
            pipelines=tuple(map(self._pipeline, ordered)),
            member=None
            if member is None
            else Member(
                tags=member.tags,
                hardware=member.hardware,
                sealed=member.sealed,
                expelled=member.expelled,
                credential=member.credential,
            ),
            history=(),
        )

    def rollouts(self) -> Rollouts:
        return Rollouts(rollouts=tuple(reversed(self._onlooker.briefs.values())))

    def rollout(self, name: str) -> RolloutNow:
        """
        Raises:
            Unknown: there is none.
        """
        looker = self._onlooker
        rollout = looker.fleet.rollouts.get(name)
        if rollout is None:
            known = ", ".join([*looker.fleet.rollouts][-5:]) or "none yet"
            raise Unknown(f"there is no rollout {name}: there is {known}")
        beside = Beside(
            by=looker.by(name),
            newest=looker.newest_of(rollout.order.stream) == name,
            keys=looker.workspace.approvers(),
            history=[line for line in looker.lines if line.rollout == name],
            note=self._note(rollout),
        )
        return steering.told(looker.outlook(rollout), beside)

    def releases(self) -> Releases:
        released = [(ref, self._manifest(ref)) for ref in self._onlooker.desk.repository.releases()]
        return Releases(releases=shelf.briefs(released, self._plans(), self._onlooker.rows.values()))

    def release(self, name: str, version: str) -> ReleaseNow:
        """
        Raises:
            Unknown: there is none.
        """
        refs = self._onlooker.desk.repository.releases()
        ref = next((each for each in refs if (each.name, each.version) == (name, version)), None)
        if ref is None:
            raise Unknown(f"there is no release {name}@{version}: shoal release makes one")
        manifest, rows = self._manifest(ref), tuple(self._onlooker.rows.values())
        return shelf.told(
            self._brief(ref, manifest, rows),
            manifest,
            evaluation(self._onlooker.workspace, ref),
            rows,
            self._onlooker.fleet.rollouts.values(),
        )

    def audit(self, before: int | None, limit: int) -> Audit:
        """Lines with a lower number than `before`, the newest first."""
        lines = self._onlooker.lines
        end = len(lines) if before is None else max(0, min(before - 1, len(lines)))
        begin = max(0, end - min(limit, LINES_MAX))
        return Audit(
            lines=tuple(reversed(lines[begin:end])),
            total=len(lines),
            before=lines[begin].number if begin > 0 and lines[begin:end] else None,
        )

    def _pipeline(self, row: Row) -> Pipeline:
        seen = self._onlooker.seen(row.device)
        told = None if seen is None else of_pipeline(seen, row.pipeline)
        report = None if told is None else told.report
        return Pipeline(
            row=row,
            explained=why.explain(row.device, self._onlooker.case_of()(row.device, row.pipeline)),
            report=report,
            serving_ms=_invoked(report.serving if report else None),
            before_ms=_invoked(report.before if report else None),
        )

    def _nobody(self, device: str) -> str:
        like = why.nearest(device, table.ids(self._onlooker.picture, self._onlooker.fleet.members))
        return f"no device is named {device}" + (f": did you mean {' or '.join(like)}?" if like else "")

    def _note(self, rollout: Rollout) -> str:
        turned = self._onlooker.turned
        if self._onlooker.fault:
            return self._onlooker.fault
        if not turned.broker.up and turned.broker.since is not None:
            return f"the broker is away since {turned.broker.since:%H:%M:%S} UTC: this is what was known then"
        if self._onlooker.picture.missing:
            return f"incomplete: {self._onlooker.picture.missing[0]}"
        unsigned = self._unsigned(rollout)
        if not turned.controller.runs:
            return turned.controller.words if unsigned or rollout.outcome is None else ""
        return "" if unsigned is None else UNSIGNED.format(unsigned)

    def _unsigned(self, rollout: Rollout) -> int | None:
        """The serial of what was decided last and not carried out yet."""
        looker, stream = self._onlooker, rollout.order.stream
        decided = standing.plans(looker.fleet).get(stream)
        if decided is None or looker.newest_of(stream) != rollout.name:
            return None
        signed = looker.desk.repository.plan(stream)
        return None if signed is not None and signed.serial >= decided.serial else decided.serial

    def _manifest(self, ref: ReleaseRef) -> Manifest:
        if ref.manifest not in self._manifests:
            found = self._onlooker.desk.repository.manifest(ref.name, ref.version)
            if found is None:
                raise StoreFailed(f"the repository has lost the manifest of {ref.name}@{ref.version}")
            self._manifests[ref.manifest] = found
        return self._manifests[ref.manifest]

    def _brief(self, ref: ReleaseRef, manifest: Manifest, rows: tuple[Row, ...]) -> ReleaseBrief:
        (found,) = shelf.briefs([(ref, manifest)], self._plans(), rows)
        return found

    def _plans(self) -> tuple[Plan, ...]:
        return tuple(standing.plans(self._onlooker.fleet).values())


def _invoked(shown: Evidence | None) -> Percentiles | None:
    measured = None if shown is None else shown.invoke_ms
    return percentiles(measured) if measured is not None and measured.count else None


def evaluation(workspace: Workspace, ref: ReleaseRef) -> document.Report | None:
    """As it came with the release.

    Raises:
        StoreFailed: it cannot be read, or is damaged.
    """
    path = workspace.evaluations / f"{ref.manifest}.json"
    content = read_secret(path)
    try:
        return None if content is None else msgspec.json.decode(content, type=document.Report)
    except msgspec.DecodeError as error:
        raise StoreFailed(f"{path} is damaged: {error}") from error


def lines_about(workspace: Workspace, device: str) -> tuple[Told, ...]:
    """The newest first. On any thread: all lines are read anew, for their tallies name every device.

    Raises:
        StoreFailed: the ledger cannot be read.
    """
    lines = controlling.open_ledger(workspace).lines()
    told = tuple(history.history(lines, device=DeviceId(device)))
    return told[: -LINES_MAX - 1 : -1]


def verified(workspace: Workspace) -> Verified:
    """On any thread."""
    try:
        found = auditing.verify(workspace)
    except (Refused, StoreFailed) as error:
        return Verified(whole=False, words=str(error))
    words = f"every one of {found.lines:,} lines is as it was written"
    return Verified(whole=True, words=words, lines=found.lines, head=found.head)
