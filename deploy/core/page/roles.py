"""Who may do what on the page of a fleet."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


class Act(StrEnum):
    LOOK = "look"
    ORDER = "order"
    """Begin rollouts and steer them."""
    APPROVE = "approve"
    """Sign for a wave, with a key of one's own."""


ALLOWED: Final[Mapping[Role, tuple[Act, ...]]] = {
    Role.VIEWER: (Act.LOOK,),
    Role.OPERATOR: (Act.LOOK, Act.ORDER),
    Role.APPROVER: (Act.LOOK, Act.ORDER, Act.APPROVE),
}
"""An approver may order too: in a small team the second person is the next one's first. What counts is that
nobody signs for a rollout of their own, which is asked of each rollout and not of a role."""


def refusal(name: str, role: Role, act: Act) -> str:
    """Why this person may not do it; empty: they may."""
    if act in ALLOWED[role]:
        return ""
    able = " or ".join(f"{each}" for each in Role if act in ALLOWED[each])
    return (
        f"{name} is a {role}, and only an {able} may {_DONE[act]}: shoal users role {name} {able.split()[0]}"
    )


_DONE: Final[Mapping[Act, str]] = {
    Act.LOOK: "look",
    Act.ORDER: "begin or steer a rollout",
    Act.APPROVE: "sign for a wave",
}
