"""What of the documents is not executed by the ordinary tests, and why: each rule names what it is about."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    about: str
    """A regular expression; a block in which it is found is not executed."""
    why: str


NOT_HERE = (
    Rule(
        r"\bsudo |systemctl|/opt/shoal|\bapt(-get)? |dpkg|runuser",
        "it changes the system: tests/systemd and tests/installer do that to a booted container",
    ),
    Rule(r"\.venv/bin/(ruff|mypy|lint-imports)", "these tests are part of it"),
    Rule(r"^make ", "what make makes takes minutes, or has tests of its own; the target is looked up"),
    Rule(
        r"--camera auto|picamera2|shoal compile|edgetpu|--only camera",
        "there is no camera and no Edge TPU here",
    ),
    Rule(r"\bssh |\bscp |ansible|cloud-init", "there is no second machine here"),
    Rule(
        r"shoal(-agent)? completion",
        "it writes into the home folder; tests/unit/deploy/cli/test_completion.py sources it",
    ),
    Rule(r"^promtool ", "promtool is not everywhere; the tests of the rules ask it where it is"),
    Rule(r"^(python3? -m )?pip ", "tests fetch no packages; the extras are looked up"),
)
SLOW = (
    Rule(r"shoal (train|convert|advise|optimize)\b|\.keras\b", "TensorFlow takes minutes: make test-docs"),
    Rule(r"shoal simulate\b", "hundreds of devices take minutes: make test-docs"),
)


def rule(text: str, rules: tuple[Rule, ...]) -> Rule | None:
    return next((each for each in rules if re.search(each.about, text, re.MULTILINE)), None)
