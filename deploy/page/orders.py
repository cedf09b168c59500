"""What is ordered on the page: written into the ledger with the person's name, and carried out by the
controller. Nothing is signed here, and nothing published.
"""

from functools import partial
from typing import Final

from agent.wire.errors import AgentError
from deploy.adapters import approval_ed25519
from deploy.assemble.controller import rollouts
from deploy.assemble.controller.rollouts import Steer, Wanted
from deploy.assemble.desk.controlling import Desk, Make
from deploy.core import names
from deploy.core.page import roles
from deploy.core.page.words import ApproveAsked, Planned, StartAsked, SteerAsked
from deploy.core.refusal import Refused
from deploy.core.release import scored
from deploy.core.rollouts import approvals, matching, orders, sizes
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.orders import Subject
from deploy.core.rollouts.state import Rollout
from deploy.core.rollouts.words import AnyEntry
from deploy.page.onlooker import Onlooker

UNDONE: Final = frozenset({"abort", "revert"})
"""What a person must confirm by typing the rollout's name."""
BLIND: Final = frozenset({"pause", *UNDONE})
"""What may be ordered by an old picture of the fleet: nobody is let in by it."""


class Forbidden(AgentError):
    """This person may not do this."""


class Orders:
    """On the onlooker's thread."""

    def __init__(self, onlooker: Onlooker) -> None:
        self._onlooker = onlooker

    def plan(self, asked: StartAsked) -> Planned:
        """
        Raises:
            Refused: it could not be begun.
            PortError, ConfigError: as of `rollouts.preview`.
        """
        self._require_broker("plan a rollout")
        found = rollouts.look_ahead(self._desk, self._wanted(asked, ""))
        return Planned(preview=found, evaluation=scored.in_words(found.evaluation))

    def start(self, asked: StartAsked, by: str) -> str:
        """The name of the rollout that has begun.

        Raises:
            As `plan`.
            Outrun: somebody else decides all the time.
        """
        self._require_broker("begin a rollout")
        return rollouts.begin(self._desk, self._wanted(asked, by), Desk.write).rollout.name

    def steer(self, name: str, verb: str, asked: SteerAsked, by: str) -> None:
        """
        Raises:
            Refused: it cannot be done now, or was not confirmed.
            Outrun, PortError, ConfigError: as `start`.
        """
        if verb in UNDONE and asked.confirm != name:
            raise Refused(f"to {verb} {name} for every device that has it, type its name: {name}")
        if verb not in BLIND:
            self._require_broker(f"{verb} a rollout")
        rollouts.order(self._desk, name, self._verb(verb, asked), Person(by, asked.why), self._decide(verb))

    def approve(self, name: str, asked: ApproveAsked, by: str) -> None:
        """
        Raises:
            Forbidden: it is their own rollout.
            Refused: there is no such rollout or wave, or the signature does not count.
            Outrun, PortError, ConfigError: as `start`.
        """
        if words := roles.own_rollout(by, name, self._onlooker.by(name)):
            raise Forbidden(words)
        keys = self._desk.workspace.approvers()

        def sign(content: bytes) -> tuple[str, str]:
            if not approval_ed25519.verify(asked.key, asked.signature, content):
                raise Refused(
                    f"the signature is not one of key {asked.key[:12]} over wave {asked.wave} of {name}"
                )
            return asked.key, asked.signature

        self._desk.write_blind(lambda fleet: approvals.approve(fleet, name, asked.wave, by, sign, keys))

    @property
    def _desk(self) -> Desk:
        return self._onlooker.desk

    def _wanted(self, asked: StartAsked, by: str) -> Wanted:
        return Wanted(
            release=asked.release,
            stream=names.segment("stream", asked.stream or self._onlooker.stream),
            waves=sizes.waves(",".join(asked.waves)),
            match=matching.parse(asked.match),
            policy=asked.policy,
            name=names.segment("rollout", asked.name) if asked.name else "",
            salt=asked.salt,
            by=by,
            why=asked.why,
            replace=asked.replace,
        )

    def _verb(self, verb: str, asked: SteerAsked) -> Steer:
        match verb:
            case "pause":
                return orders.pause
            case "resume":
                return orders.resume
            case "promote":
                return partial(_promote, asked=asked)
            case "abort":
                return orders.abort
            case "revert":
                return (
                    partial(orders.revert_class, hardware=asked.hardware) if asked.hardware else orders.revert
                )
            case _:
                raise Refused(
                    f"a rollout cannot be told to {verb}: it takes pause, resume, promote, abort, revert"
                )

    def _decide(self, verb: str) -> rollouts.Decide:
        if verb not in BLIND or self._onlooker.turned.broker.up:
            return Desk.write
        return self._by_what_was_known

    def _by_what_was_known(self, desk: Desk, make: Make) -> object:
        return desk.write_blind(lambda fleet: make(fleet, self._onlooker.picture))

    def _require_broker(self, what: str) -> None:
        broker = self._onlooker.turned.broker
        if not broker.up:
            since = f"{broker.since:%H:%M:%S} UTC" if broker.since else "the beginning"
            raise Refused(
                f"the broker is away since {since}, and nobody can {what} by an old picture of the fleet: "
                "try again when it is back"
            )


def _promote(of: Subject, person: Person, *, asked: SteerAsked) -> tuple[AnyEntry, ...]:
    rollout = of.fleet.rollouts.get(of.name)
    if rollout is not None and asked.wave is not None and asked.wave != rollout.wave:
        raise Refused(f"rollout {of.name} has moved on meanwhile: {_stands(rollout)}; look again")
    return orders.force(of, person) if asked.force else orders.promote(of, person)


def _stands(rollout: Rollout) -> str:
    if rollout.wave < 0:
        return "no wave is out"
    return f"wave {rollout.wave + 1} of {len(rollout.order.waves)} is out"
