"""Who may do what on the page of a fleet."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from agent.core.page.access import Role


class Act(StrEnum):
    LOOK = "look"
    ORDER = "order"
    """Begin rollouts and steer them."""
    APPROVE = "approve"
    """Sign for a wave, with a key of one's own."""


NEEDS: Final[Mapping[Act, Role]] = {
    Act.LOOK: Role.VIEWER,
    Act.ORDER: Role.OPERATOR,
    Act.APPROVE: Role.APPROVER,
}
"""An approver may order too: in a small team the second person is the next one's first. What counts is that
nobody signs for a rollout of their own, which is asked of each rollout and not of a role."""

_DOES: Final[Mapping[Act, str]] = {
    Act.LOOK: "look",
    Act.ORDER: "begin or steer a rollout",
    Act.APPROVE: "sign for a wave",
}


def allowed(role: Role) -> tuple[Act, ...]:
    return tuple(act for act, needed in NEEDS.items() if role.covers(needed))


def refusal(name: str, role: Role, act: Act) -> str:
    """Why this person may not do it; empty: they may."""
    needed = NEEDS[act]
    if role.covers(needed):
        return ""
    return (
        f"{name} is {a(role)}, and it takes an {needed} to {_DOES[act]}: "
        f"shoal users role {name} {needed} on the controller's machine makes one"
    )


def a(role: Role) -> str:
    """With its article."""
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"


def own_rollout(name: str, rollout: str, started_by: str) -> str:
    """Why this person may not sign for a wave of the rollout; empty: they may."""
    if name != started_by:
        return ""
    return f"{name} began rollout {rollout}, and a second person signs for its waves"
