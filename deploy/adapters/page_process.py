"""The fleet's page as a child of the controller."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.adapters.kept_process import Program


def command(workspace: Path) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "deploy", "page", "--until-eof", "--workspace", str(workspace))


def page(words: Sequence[str]) -> Program:
    return Program("page", words, subprocess.Popen.terminate)
