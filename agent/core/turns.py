"""Whose turn it is among several brokers that bear the same fleet.

A link stays with a broker while that one works, and tries it first when the connection is lost. It goes
on to the next without a pause; only after a round in which all have failed does it wait, each round
longer. Where a link begins follows from its client id, so that a fleet spreads over its brokers.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

UNSTEADY_ROUNDS_MAX: Final = 3
HOPELESS_ROUND: Final = 16
"""What a person must mend (a password, a certificate) is tried again at the pace of the longest delays."""


@dataclass(frozen=True, slots=True)
class Turn:
    brokers: int
    """How many there are."""
    broker: int
    """Whose turn it is, from 0."""
    failed: int = 0
    """Of this round."""
    rounds: int = 0
    """That have failed in a row."""
    hopeless: int = 0
    """Failures of this round that a person must mend."""
    pause: int | None = 0
    """The number of the failed attempt whose delay comes next; None: no delay."""


def begin(client_id: str, brokers: int) -> Turn:
    home = int.from_bytes(hashlib.sha256(client_id.encode()).digest()[:8], "big") % brokers
    return Turn(brokers, home)


def failed(turn: Turn, *, hopeless: bool = False) -> Turn:
    """No connection came about: the next broker, and a pause behind the last of a round."""
    tried, mends = turn.failed + 1, turn.hopeless + hopeless
    following = replace(turn, broker=(turn.broker + 1) % turn.brokers, failed=tried, hopeless=mends)
    if tried < turn.brokers:
        return replace(following, pause=None)
    pause = HOPELESS_ROUND if mends == tried else turn.rounds
    return replace(following, failed=0, hopeless=0, rounds=turn.rounds + 1, pause=pause)


def lost(turn: Turn, *, steady: bool, hopeless: bool = False) -> Turn:
    """A connection that stood has ended: the same broker again, soon.

    One that was thrown out at once goes on to the next broker, and its delays grow, but not far: two
    clients under one id throw each other out, and neither shall be gone for long.
    """
    rounds = 0 if steady else min(turn.rounds, UNSTEADY_ROUNDS_MAX - 1)
    broker = turn.broker if steady else (turn.broker + 1) % turn.brokers
    pause = HOPELESS_ROUND if hopeless else rounds
    return Turn(turn.brokers, broker, rounds=rounds + 1, pause=pause)
