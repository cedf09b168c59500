"""`shoal simulate` from end to end: real agents, a real broker, the real controller."""

import xml.etree.ElementTree as ET

import msgspec
import pytest

from deploy.adapters.broker_local import installed_kinds
from deploy.cli.main import main
from deploy.simulation.outcome import Ran

DEADLY = """
name = "deadly"
words = "the candidate ends every device that it reaches"

[[candidate.fault]]
fate = "hangs"
share = 0.5

[[candidate.fault]]
fate = "dies"
share = 0.5

[rollout]
waves = ["2", "100%"]

[rollout.policy.gate]
deadline_s = 4

[rollout.policy.trial]
shadow_frames = 2

[rollout.policy.probation]
healthy_windows = 2
window_frames = 2

[expect]
ends = "reverted"
exposed_max = 2
"""


def test_twenty_devices_are_saved_from_a_candidate_that_ends_two_of_them_without_a_word(tmp_path, capsys):
    if not installed_kinds():
        pytest.skip("no broker is installed: neither mosquitto nor the demo extra")
    (tmp_path / "deadly.toml").write_text(DEADLY)
    drawn = tmp_path / "course.svg"
    code = main(
        [
            "simulate", "--devices", "20", "--scenario", str(tmp_path / "deadly.toml"), "--json",
            "--plot", str(drawn),
        ]
    )  # fmt: skip
    ran = msgspec.json.decode(capsys.readouterr().out, type=Ran)
    assert (code, ran.failures) == (0, ())
    assert ran.ends["stable"] >= 18
    assert ran.cost.device_messages > 0
    assert [decision.kind for decision in ran.decisions].count("Aborted") == 1
    assert ET.fromstring(drawn.read_text()).tag.endswith("svg")
