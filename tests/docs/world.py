"""What a reader has who follows a document: a folder, a broker, the commands, models and pictures."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.cli.main import main
from tests import labelled_pictures
from tests.docs import background, devices
from tests.docs.blocks import ROOT, Block
from tests.processes import running

SHIPPED = ROOT / "models/efficientnet_lite0"
BLOCK_S = 600.0
STOP_S = 30.0
DEVICES = 20
BEGINS = re.compile(r"git clone|shoal init")
"""Whoever does that begins with nothing."""


@dataclass(frozen=True, slots=True)
class World:
    folder: Path
    broker: str
    """host:port"""
    root: str
    """Of the topics: each world has the broker for itself."""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def behind(self) -> Path:
        """Where what goes on is written down."""
        return self.folder / "behind"

    def execute(self, found: list[Block]) -> None:
        """The blocks, one after the other, in one shell.

        Raises:
            AssertionError: a command failed, or what was to go on did not.
        """
        text = "\n".join(f": {block.place}\n{self._here(block.commands)}" for block in found)
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", text],
            cwd=self.home,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=BLOCK_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        for said in self.behind.iterdir():
            assert running(int(said.stem)) or said.read_text(), said.read_text()[-2000:]

    def _here(self, commands: str) -> str:
        named = re.sub(r"mqtts?://(BROKER(:1883)?|127\.0\.0\.1(:1883)?)", f"mqtt://{self.broker}", commands)
        return re.sub(r"^(shoal init \S+)", rf"\1 --root {self.root}", named, flags=re.MULTILINE)

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}
        }
        return kept | {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PS4": "+ ",
            "HOME": str(self.home),
        }

    def end(self) -> None:
        """What goes on gets the signal that a service manager would send."""
        for said in self.behind.iterdir():
            with suppress(ProcessLookupError):
                os.kill(int(said.stem), signal.SIGTERM)
        for said in self.behind.iterdir():
            _ended(int(said.stem))


def _ended(number: int) -> None:
    deadline = time.monotonic() + STOP_S
    while running(number) and time.monotonic() < deadline:
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


@contextmanager
def made(folder: Path, broker: str, root: str, found: list[Block]) -> Iterator[World]:
    """A world with what these blocks take for granted, until it is left."""
    world = World(folder, broker, root)
    for each in (world.home, world.behind, folder / "bin"):
        each.mkdir(parents=True)
    _programs(world)
    text = "\n".join(block.commands for block in found)
    if not BEGINS.search(text):
        _furnish(world, text)
    try:
        yield world
    finally:
        world.end()


def _programs(world: World) -> None:
    """`git clone` gives the checkout, `python3 -m venv` what is installed; pip finds all there already."""
    here, python = world.folder / "bin", sys.executable
    for program, package in background.PACKAGES.items():
        behind = f"-P -m tests.docs.background {world.behind} {program}"
        _program(
            here / program,
            f'case "$1" in {"|".join(background.ATTENDED[program])})\n'
            f'  PYTHONPATH={ROOT} exec {python} {behind} "$@";;\nesac\n'
            f'exec {python} -P -m {package} "$@"',
        )
    _program(here / "git", f'mkdir "$3" && ln -s {ROOT}/[!.]* "$3"')
    _program(here / "pip", "test $# -ge 2")
    venv = f'mkdir -p "$3/bin" && ln -s {here}/* "$3/bin" && echo "PATH={here}:$PATH" > "$3/bin/activate"'
    _program(here / "python3", f'if [ "$1 $2" = "-m venv" ]; then {venv}; else exec {python} "$@"; fi')


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _furnish(world: World, text: str) -> None:
    """A workspace, the folders of the checkout, and what is named that a reader would have."""
    home = world.home
    if re.search(r"\bshoal (?!model|evaluate|train|convert|advise|compile)", text):
        home.rmdir()
        _run("init", str(home), "--broker", f"mqtt://{world.broker}", "--root", world.root)
    for name in ("models", "systemd", "deploy", "docs"):
        (home / name).symlink_to(ROOT / name)
    model = SHIPPED / "efficientnet_lite0_224_uint8.tflite"
    for name in {"birds.tflite", "efficientnet_lite0_224_uint8.tflite"} & set(re.findall(r"[\w.]+", text)):
        shutil.copy(model, home / name)
    for name in {"birds.txt", "labels.txt"} & set(re.findall(r"[\w.]+", text)):
        shutil.copy(SHIPPED / "labels.txt", home / name)
    if "photographs" in text:
        (home / "photographs").symlink_to(ROOT / "models/photographs")
    if "picture.jpg" in text:
        shutil.copy(next((ROOT / "models/photographs").glob("*.jpg")), home / "picture.jpg")
    for name in {"birds", "held-out", "pictures"} & set(re.findall(r"([\w-]+)/", text)):
        labelled_pictures.make(home / name, 12)
    _release(world, text)
    if "shoal claims" in text:
        _encrypt(home)


def _release(world: World, text: str) -> None:
    """What a block rolls out that it has not released itself."""
    if re.search(r"shoal rollout (plan|start) birds", text) and "shoal release" not in text:
        model = SHIPPED / "efficientnet_lite0_224_uint8.tflite"
        labels = str(SHIPPED / "labels.txt")
        words = ["--name", "birds", "--version", "1.3.0", "--labels", labels, "--workspace", str(world.home)]
        _run("release", str(model), *words)
        devices.appear(world.home, [f"pi-{number}" for number in range(1, DEVICES + 1)])


def _encrypt(home: Path) -> None:
    _run("broker-config", "--host", "broker.local", "--workspace", str(home))
    with (home / "shoal.toml").open("a") as settings:
        settings.write('ca = "keys/ca/ca.pem"\n')


def _run(*words: str) -> None:
    assert main(words) == 0, words
