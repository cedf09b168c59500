"""Whether devices that fell silent under a release died of it, or of what befell the whole house.

A device whose last will came may have been switched off with everything around it, or have lost its network,
or be dead. By itself that cannot be told; but what befalls devices anyhow befalls those too that do not run
the release. So both are compared over the same time.
"""

from dataclasses import dataclass
from typing import Final

from deploy.core.rollouts.detection import chance

BY_CHANCE: Final = 0.001
"""Beyond this nobody believes in chance. A fleet is looked at some ten times a rollout."""
TELLING_MIN: Final = 20
"""Fewer devices say little of how many go away anyhow."""
HOUSE_MIN: Final = 2
"""So many others at least must be gone before it is the house."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of some devices, those that have gone and are still away."""

    gone: int
    of: int


def beyond_chance(running: Share, others: Share, share_anyhow: float) -> bool:
    """Whether more of those that run the release are away than can be by chance: X of them, binomial.

    Args:
        running: that run the release.
        others: that do not, over the same time.
        share_anyhow: taken where there are too few others to tell. With none gone of n others, the chance
            that one goes is (0 + 1/2) / (n + 1), the mean of Jeffreys' posterior.
    """
    anyhow = (others.gone + 0.5) / (others.of + 1) if others.of >= TELLING_MIN else share_anyhow
    return running.gone > 0 and chance(running.of, running.gone - 1, anyhow) < BY_CHANCE


def of_the_house(running: Share, others: Share) -> bool:
    """Whether the others went away at the same rate: half of it at least."""
    if others.gone < HOUSE_MIN:
        return False
    return 2 * others.gone * running.of >= running.gone * others.of
