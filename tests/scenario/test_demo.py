"""`make demo` as it is typed: what it promises to show is what it shows."""

import json
import subprocess
import sys

import pytest

from deploy.adapters.broker_local import installed_kinds
from tests.rig import REPOSITORY

PROMISED = ("1.0.0 committed", "1.1.0 committed", "1.2.0 refused (golden-mismatch")
MAX_S = 400.0


def test_the_demo_commits_two_releases_and_shows_the_broken_one_refused():
    if not installed_kinds():
        pytest.skip("no broker is installed: neither mosquitto nor the demo extra")
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "deploy", "demo", "--frames", "200"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=MAX_S,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert [words for words in PROMISED if words not in said] == [], said
    summary = json.loads(ran.stdout.splitlines()[-1])
    assert (summary["predictions"], summary["swaps"], summary["refused"]) == (200, 1, ["golden-mismatch"])
