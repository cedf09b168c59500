"""What we tell a Home Assistant, read by its own schemas: `make test-homeassistant`."""

import subprocess
from pathlib import Path

import pytest

from tests.homeassistant.hass import PYTHON
from tests.unit.core.homeassistant.documents import ANNOUNCEMENT, FOLDER, MODELS

pytestmark = pytest.mark.skipif(not PYTHON, reason="make test-homeassistant brings a Home Assistant")


def test_its_own_schemas_take_every_document_and_would_refuse_others():
    done = subprocess.run(
        [PYTHON, "-P", str(Path(__file__).with_name("validate.py")), str(FOLDER)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    looked_at = set(done.stderr.splitlines())
    present = {key for key in ANNOUNCEMENT.components if not key.startswith("old_")}
    assert looked_at >= {"announcement", *present, *(f"model {number}" for number in range(len(MODELS)))}
