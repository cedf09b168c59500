"""How much of a compiled model an Edge TPU computes."""

from agent.core.tflite.flatmodel import ModelFacts
from agent.core.tflite.flatops import EDGETPU


def taken(facts: ModelFacts, device: str, version: str) -> str:
    """What an Edge TPU computes of a model that it has taken."""
    where = f"compiled for an Edge TPU, and {device} is open ({version})"
    left = [each for each in facts.operators if each.name != EDGETPU]
    if not left:
        return f"{where}: all of it runs there"
    there = sum(each.count for each in facts.operators if each.name == EDGETPU)
    total = there + sum(each.count for each in left)
    named = ", ".join(f"{each.count} {each.name}" for each in left)
    return f"{where}: {there} of {total} operators run there, {named} on the CPU"
