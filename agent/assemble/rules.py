"""The configuration's words as the rules of those who decide by them."""

from agent.config import Emission, Thermal
from agent.core.telemetry import emission, thermal
from agent.core.telemetry.vitals import HotRule


def emission_rules(section: Emission) -> emission.Rules:
    return emission.Rules(
        mode=section.mode,
        at_most_per_s=section.at_most_per_s,
        heartbeat_s=section.heartbeat_s,
        floor=section.floor,
        hysteresis=section.hysteresis,
        smoothing_frames=section.smoothing_frames,
    )


def thermal_rules(section: Thermal) -> thermal.Rules:
    return thermal.Rules(
        step_down_at_c=section.step_down_at_c,
        step_up_below_c=section.step_up_below_c,
        floor_fps=section.floor_fps,
    )


def hot_rule(section: Thermal) -> HotRule:
    """What is told as hot is what slows down; where nothing does, what would by default."""
    if section.step_down_at_c == 0:
        return HotRule()
    return HotRule(at_c=section.step_down_at_c, below_c=section.step_up_below_c)
