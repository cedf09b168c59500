"""What was taught on a device is released to a fleet like any other model, and names what it was shown."""

import subprocess
import sys

from tests import labelled_pictures, rig


def taught(folder, out, *more):
    command = [sys.executable, "-P", "-m", "agent", "teach", "--model", rig.SHIPPED, "-o", out]
    subprocess.run([*command, "--images", folder, *more], check=True, capture_output=True, timeout=300)


def test_a_taught_model_is_released_and_a_device_names_what_it_was_shown(tmp_path, any_broker):
    pictures = labelled_pictures.make(tmp_path / "pictures", count=10)
    fresh = labelled_pictures.make(tmp_path / "fresh", count=5, seed=7)
    taught(pictures, tmp_path / "shapes.tflite", "--unknown", "something else")
    fleet = rig.fleet(tmp_path, any_broker.url)
    fleet.release(tmp_path / "shapes.tflite", "1.0.0")
    camera = f'kind = "replay"\nfolder = "{fresh / "rings"}"\nrate_fps = 5.0\n'
    with rig.listening(fleet) as ear, rig.Agent(tmp_path, fleet, camera=camera):
        fleet.roll_out("1.0.0")
        heard = ear.wait(lambda heard: len(heard.predictions) >= 10, 120)
    named = [said.predictions[0].label for said in heard.predictions]
    assert named.count("rings") >= 0.8 * len(named)
