"""The Ansible role, played twice and taken back; runs as root inside the container of the rig."""

import json
import re
from pathlib import Path

from rigged import BROKER, DEVICE, a_broker, changed, everything, predicts, process, run, say, step

PLAY = [
    {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "roles": ["/src/deploy/ansible/roles/shoal"],
        "environment": {"PIP_CACHE_DIR": "/root/.cache/pip"},
    }
]


def play(**variables: object) -> int:
    """How many tasks changed something."""
    Path("/root/play.json").write_text(json.dumps(PLAY), "utf-8")
    given = json.dumps({"ansible_python_interpreter": "/usr/bin/python3", **variables})
    said = run("ansible-playbook", "-i", "localhost,", "/root/play.json", "--extra-vars", given)
    found = re.search(r"changed=(\d+)", said)
    assert found, said
    say(f"    {said.strip().splitlines()[-1]}")
    return int(found[1])


def main() -> None:
    a_broker()
    before = everything()
    with step("the role installs, and predictions are heard"):
        assert play(shoal_broker=BROKER)
        predicts(f"shoal/{DEVICE}", DEVICE)
    with step("played again it changes nothing, and restarts nothing"):
        pid = process()
        assert play(shoal_broker=BROKER) == 0
        assert process() == pid
    with step("taken back, it leaves nothing behind"):
        play(shoal_state="absent")
        assert not changed(before), changed(before)[:40]


if __name__ == "__main__":
    main()
