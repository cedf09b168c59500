"""The controller: looks, decides, writes down, carries out, and begins again.

Nothing is remembered between two turns but what the ledger and the repository hold, so a controller that was
killed goes on where it was. What fails outside is tried again later; another copy of the workspace at work
(`Fenced`), or keys that are not at hand (`ConfigError`), end it.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from agent.core.backoff import delay_s
from agent.wire.errors import PortError
from deploy.adapters import account, lock_file
from deploy.adapters.lock_file import Busy, Holder
from deploy.adapters.workspace import Accept, Workspace
from deploy.assemble.desk import noting
from deploy.assemble.desk.controlling import Desk
from deploy.assemble.enrolment import claiming
from deploy.core.refusal import Refused
from deploy.core.rollouts import lagging, steps
from deploy.core.rollouts.picture import Picture
from deploy.core.rollouts.state import Fleet, Rollout
from deploy.core.rollouts.words import AnyEntry, Judged, Judgement, Line, TookOver, Verdict

log = logging.getLogger(__name__)

RENEWED_EVERY: Final = timedelta(days=1)
FOLLOWED_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds."""

    turn_s: float = 5.0
    """The longest time without a look at the rollouts."""
    busy_s: float = 1.0
    """The shortest, where devices tell something all the time."""
    fence_s: float = 60.0
    """Between two looks at what the broker holds."""
    fresh_s: float = 10.0
    """How old a complete reading may be where something is decided."""
    heard_s: float = 300.0
    """How old it may be else while a rollout is under way: a broker drops what it has for a slow listener,
    and a device that has said everything does not say it again.
    """
    claims_s: float = 30.0
    """Between two looks at who claims an identity."""
    lag_s: float = 900.0
    """After which a device that speaks and has not seen the plan tells that the broker lost something."""
    retry_cap_s: float = 30.0
    restated_s: float = 10.0
    """Between two lines that only say anew why a rollout waits: a device that says something else each second
    must not fill the disk with pictures of the fleet.
    """

    def rest_s(self, spent_s: float) -> float:
        """How long nothing is looked at after a turn that took so much of a processor: it gets a tenth of
        one at most. What a turn waited for its broker costs nobody anything, and what devices tell is taken
        in on the link's thread, however often it is looked at: neither is followed by a rest, or a fleet
        that was just let in, or whose broker has just come back, would be left alone for minutes.
        """
        return max(self.busy_s, 9.0 * spent_s)


@contextmanager
def in_place(workspace: Workspace, desk: Desk, take_over: str | None) -> Iterator[None]:
    """Be the controller of this workspace.

    Raises:
        Busy: another one has the place, or one on another machine may.
        Fenced: another copy of the workspace steers the fleet.
    """
    me = Holder(host=socket.gethostname(), user=account.name(), pid=os.getpid(), since=desk.now)
    with lock_file.controlling(workspace.controller_lock, me, take_over=take_over is not None) as before:
        # Who is fenced writes nothing down, however often a service manager starts it.
        desk.require_ours()
        if words := noting.lost(desk.ledger, desk.repository):
            log.warning("ledger.cut", extra={"reason": words})
        why = take_over or (f"after {before.words}, which said no goodbye" if before else "")
        desk.record(TookOver(by=me.user, controller=f"{me.host} {me.pid}", why=why))
        log.info("controller.began", extra={"after": before.words if before else "nobody"})
        yield
        log.info("controller.ended")


def stay(
    workspace: Workspace, desk: Desk, name: str, tell: Callable[[Line], None], stop: threading.Event
) -> None:
    """Steer every rollout until this one has ended; where a controller serves already, see it do so.

    Raises:
        Fenced, ConfigError: as `Controller.run`.
        StoreFailed: the ledger cannot be read.
    """

    def ended(fleet: Fleet) -> bool:
        rollout = fleet.rollouts.get(name)
        return rollout is not None and rollout.outcome is not None

    with ExitStack() as held:
        try:
            held.enter_context(in_place(workspace, desk, None))
        except Busy:
            told = desk.newest
            while not ended(desk.fleet()) and not stop.wait(FOLLOWED_EVERY_S):
                lines = desk.ledger.lines(told)
                for line in lines:
                    tell(line)
                told = lines[-1].number if lines else told
            return
        Controller(desk, stop, tell).run(ended)


@dataclass(slots=True)
class Controller:
    """One loop over one desk.

    Args:
        desk: connected.
        stop: ends the loop between two turns.
        tell: called with each line that was written meanwhile, by whomever.
    """

    desk: Desk
    stop: threading.Event
    tell: Callable[[Line], None] = lambda _: None
    pace: Pace = field(default_factory=Pace)
    _told: int = 0
    _fenced_at: float = float("-inf")
    _connection: int = 0
    _lag_at: float = float("-inf")
    _claims_at: float = float("-inf")
    _failures: int = 0
    _restated_at: dict[str, float] = field(default_factory=dict)
    """By rollout."""

    def run(self, until: Callable[[Fleet], bool] = lambda _: False) -> None:
        """Serve until `stop` is set or `until` holds of what the ledger says.

        Raises:
            Fenced: another copy of the workspace steers the fleet.
            ConfigError: something could not be signed.
        """
        fleet = self.desk.fleet()
        self._told = self.desk.newest
        self.desk.hearing.anew("a controller began")
        while not self.stop.is_set() and not (until(fleet) and not self.desk.outstanding):
            begun = time.thread_time()
            try:
                self.turn()
                self._failures = 0
            except PortError as error:
                self._failures += 1
                log.warning("controller.failed", extra={"reason": str(error), "times": self._failures})
            fleet = self._tell()
            if not until(fleet):
                self._rest(time.thread_time() - begun)

    def turn(self) -> None:
        """One look, and what follows from it.

        Raises:
            PortError: something outside failed; what was written is carried out in a later turn.
            Fenced, ConfigError: as `run`.
        """
        desk = self.desk
        if not desk.connections.up:
            return
        self._assert_stands()
        if desk.outstanding:
            # Nobody is judged by a plan that does not stand.
            desk.carry_out()
        for name in [rollout.name for rollout in desk.fleet().rollouts.values() if rollout.outcome is None]:
            self._decide(name)
        if desk.outstanding:
            desk.carry_out()
        self._bring_up_laggards()
        self._answer_claims()

    def _answer_claims(self) -> None:
        """Give an identity to whoever asks with a good token, where the workspace says so."""
        workspace = self.desk.workspace
        if workspace.settings.claims.accept is not Accept.WITH_TOKEN:
            return
        if time.monotonic() - self._claims_at >= self.pace.claims_s:
            self._claims_at = time.monotonic()
            claiming.accept_all(workspace, self.desk.session)

    def _decide(self, name: str) -> None:
        """Where more follows than a changed verdict, all is read again first; and now and then besides."""
        desk, stale = self.desk, threading.Event()

        def make(fleet: Fleet, picture: Picture) -> tuple[AnyEntry, ...]:
            entries = self._step(fleet, name, picture)
            longest = self.pace.fresh_s if steps.decisive(entries) else self.pace.heard_s
            if desk.live().age_s > longest:
                stale.set()
                return ()
            return () if self._restates_soon(fleet.rollouts[name], entries) else entries

        desk.write(make)
        if stale.is_set():
            desk.live().read()
            desk.write(make)

    def _restates_soon(self, rollout: Rollout, entries: tuple[AnyEntry, ...]) -> bool:
        """Whether it was said only just why the rollout waits."""
        match rollout.judgement, entries:
            case Judgement(verdict=Verdict.HOLD), (Judged(judgement=Judgement(verdict=Verdict.HOLD)),):
                now = time.monotonic()
                if now - self._restated_at.get(rollout.name, float("-inf")) < self.pace.restated_s:
                    return True
                self._restated_at[rollout.name] = now
        return False

    def _step(self, fleet: Fleet, name: str, picture: Picture) -> tuple[AnyEntry, ...]:
        try:
            return steps.step(fleet, name, picture, self.desk.standing(fleet.rollouts[name].order.stream))
        except Refused as refused:
            log.warning("rollout.stuck", extra={"rollout": name, "reason": str(refused)})
            return ()

    def _assert_stands(self) -> None:
        made = self.desk.connections.made
        due = time.monotonic() - self._fenced_at >= self.pace.fence_s
        if made == self._connection and not due:
            return
        self.desk.assert_stands()
        self._connection, self._fenced_at = made, time.monotonic()
        signed_at = self.desk.repository.signed_at()
        if signed_at is None or self.desk.now - signed_at >= RENEWED_EVERY:
            self.desk.renew()

    def _bring_up_laggards(self) -> None:
        if time.monotonic() - self._lag_at < self.pace.lag_s:
            return
        fleet = self.desk.fleet()
        late = lagging.behind(fleet, self.desk.picture(), timedelta(seconds=self.pace.lag_s))
        if late:
            self._lag_at = time.monotonic()
            version = self.desk.repository.timestamp_version()
            self.desk.reassert(
                version, f"{len(late)} devices, such as {late[0]}, have not seen the newest plan"
            )

    def _tell(self) -> Fleet:
        try:
            fleet = self.desk.fleet()
            for line in self.desk.ledger.lines(self._told):
                self.tell(line)
                self._told = line.number
        except PortError as error:
            log.warning("ledger.unread", extra={"reason": str(error)})
            return Fleet()
        return fleet

    def _rest(self, spent_s: float) -> None:
        """Until devices tell something new, and a while at least."""
        if self._failures:
            self.stop.wait(delay_s(self._failures, 0.99, base_s=1.0, cap_s=self.pace.retry_cap_s))
            return
        shortest = self.pace.rest_s(spent_s)
        if not self.stop.wait(shortest):
            self.desk.wait(max(self.pace.turn_s - shortest, 0.0), self.stop)
