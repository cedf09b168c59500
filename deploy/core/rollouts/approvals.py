r"""A second person's signature, without which a named wave does not begin.

    signature = Ed25519 (RFC 8032) over
        "shoal approval\n" + rollout + "\n" + stream + "\n" + salt + "\n" + manifest + "\n" + wave, in UTF-8

`manifest` is the digest of the release's manifest, `wave` the size as it was ordered. The salt is the
rollout's own, so that no signature serves for another rollout of the same name. Keys and signatures are
lowercase hexadecimal digits.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from deploy.core.refusal import Refused
from deploy.core.rollouts.state import Fleet, Rollout
from deploy.core.rollouts.words import Approved, Line, Order, Policy, Started
from deploy.core.spans import counted

Verify = Callable[[str, str, bytes], bool]
"""Key, signature, content: whether the key made it."""
_PURPOSE: Final = "shoal approval"


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides, by the name of the account, and why."""

    by: str
    why: str = ""

    @property
    def reason(self) -> str:
        """
        Raises:
            Refused: none was given.
        """
        if not self.why.strip():
            raise Refused("a reason is needed: it goes on record")
        return self.why


def approval_bytes(order: Order, wave: int) -> bytes:
    """What is signed."""
    parts = (_PURPOSE, order.rollout, order.stream, order.salt, order.release.manifest, order.waves[wave])
    return "\n".join(parts).encode()


def lacking(order: Order, wave: int, approved: Collection[str]) -> int:
    """How many signatures the wave still needs, given the keys that signed."""
    wanted = order.policy.approvals_min if order.waves[wave] in order.policy.approve else 0
    return max(0, wanted - len(approved))


def awaited(rollout: Rollout) -> str:
    """What the next wave lacks, and how it comes by it; empty: no signature."""
    wave = rollout.wave + 1
    if wave >= len(rollout.order.waves):
        return ""
    size = rollout.order.waves[wave]
    missing = lacking(rollout.order, wave, rollout.approved.get(wave, ()))
    if not missing:
        return ""
    more = counted(missing, "more signature")
    return f"wave {size} needs {more}: shoal rollout approve {rollout.name} --wave {size} --key FILE"


def require_keys(policy: Policy, keys: Collection[str]) -> None:
    """
    Raises:
        Refused: a wave would wait for more signatures than there are people who can sign.
    """
    if policy.approve and policy.approvals_min > len(keys):
        raise Refused(
            f"the policy wants wave {policy.approve[0]} signed with {policy.approvals_min} keys, and "
            f"shoal.toml lists {len(keys)} under [approval]: shoal approver FILE makes one"
        )


def approve(
    fleet: Fleet,
    name: str,
    wave: str,
    by: str,
    sign: Callable[[bytes], tuple[str, str]],
    keys: Collection[str],
) -> tuple[Approved, ...]:
    """The signature as the ledger takes it.

    Args:
        fleet: what the ledger says.
        name: of the rollout.
        wave: as it was ordered.
        by: the name of the person's account.
        sign: gives the public key and its signature.
        keys: those that count.

    Raises:
        Refused: there is no such rollout or wave, it has ended, or the key does not count.
    """
    rollout = fleet.rollouts.get(name)
    if rollout is None or rollout.outcome is not None:
        raise Refused(
            f"there is no rollout {name!r} under way: there is {', '.join(fleet.rollouts) or 'none'}"
        )
    if wave not in rollout.order.waves:
        raise Refused(f"rollout {name} has no wave {wave!r}: its waves are {', '.join(rollout.order.waves)}")
    number = rollout.order.waves.index(wave)
    key, signature = sign(approval_bytes(rollout.order, number))
    if key not in keys:
        raise Refused(f"key {key} does not count: list it under [approval] keys in shoal.toml")
    return (Approved(by=by, rollout=name, wave=number, key=key, signature=signature),)


def genuine(lines: Iterable[Line], fleet: Fleet, keys: Collection[str], verify: Verify) -> Iterator[Line]:
    """All lines but signatures that do not count: not a listed key's, or not over what was ordered.

    Args:
        lines: those that follow what made `fleet`.
        fleet: what the lines before them say.
        keys: those that count.
        verify: the arithmetic.
    """
    orders = {name: rollout.order for name, rollout in fleet.rollouts.items()}
    for line in lines:
        match line.entry:
            case Started(order=order):
                orders[order.rollout] = order
            case Approved() as approved if not _counts(approved, orders.get(approved.rollout), keys, verify):
                continue
            case _:
                pass
        yield line


def _counts(approved: Approved, order: Order | None, keys: Collection[str], verify: Verify) -> bool:
    if order is None or not 0 <= approved.wave < len(order.waves) or approved.key not in keys:
        return False
    return verify(approved.key, approved.signature, approval_bytes(order, approved.wave))
