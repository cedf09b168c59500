"""The ledger, looked at by somebody who does not trust it."""

from collections.abc import Iterator
from dataclasses import dataclass

from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import noting, workspaces
from deploy.assemble.desk.controlling import open_ledger
from deploy.core.refusal import Refused
from deploy.core.rollouts import chain, replaying, standing
from deploy.core.rollouts.chain import BEGINNING, Written
from deploy.core.rollouts.replaying import Replayed
from deploy.core.rollouts.state import Fleet, fold


@dataclass(frozen=True, slots=True)
class Verified:
    lines: int
    head: str
    """The chain of the newest line: who notes it down elsewhere can tell later whether lines were cut off, or
    the whole file was written anew."""


def verify(workspace: Workspace, noted: str = "") -> Verified:
    """
    Args:
        workspace: whose ledger it is.
        noted: the head at some time before.

    Raises:
        Refused: a line was edited, deleted, inserted or moved, or what was noted is not there any more; the
            message names the first line that is wrong.
        StoreFailed: the file cannot be read.
    """
    ledger = open_ledger(workspace)
    written = ledger.written()
    if fault := chain.first_fault(written):
        raise Refused(f"{workspace.ledger} was changed: {fault.words}")
    if noted and noted not in {BEGINNING, *(line.chain for line in written)}:
        raise Refused(
            f"{workspace.ledger} is whole, but holds no line of chain {noted[:80]}: lines were cut off after "
            "it was noted, or all of them were written anew"
        )
    if words := noting.lost(ledger, workspaces.open_repository(workspace)):
        raise Refused(
            f"{workspace.ledger} is not what it was: {words}. Put the newest copy of it back; or, if there "
            "is none, shoal rotate-keys timestamp makes this one count from now on"
        )
    _require_decided(workspace, fold(map(chain.read, written)))
    return Verified(len(written), written[-1].chain if written else BEGINNING)


def _require_decided(workspace: Workspace, fleet: Fleet) -> None:
    """What is signed for a rollout was decided before: lines that are missing at the end are told so."""
    repository = workspaces.open_repository(workspace)
    for stream in {"main", workspace.settings.fleet.stream, *standing.plans(fleet)}:
        signed, decided = repository.plan(stream), standing.plans(fleet).get(stream)
        if signed is not None and signed.rollout and (decided is None or decided.serial < signed.serial):
            raise Refused(
                f"plan {stream} with serial {signed.serial} was signed, and {workspace.ledger} does not say "
                "who decided it: lines were cut off its end"
            )


def written(workspace: Workspace) -> tuple[Written, ...]:
    """The lines as they stand, whatever was done to them.

    Raises:
        StoreFailed: the file cannot be read.
    """
    return open_ledger(workspace).written()


def replay(workspace: Workspace) -> Iterator[Replayed]:
    """Every judgement and plan again.

    Raises:
        StoreFailed: the file cannot be read, or was changed.
    """
    ledger = open_ledger(workspace)
    return replaying.replay(ledger.lines(), ledger.content)
