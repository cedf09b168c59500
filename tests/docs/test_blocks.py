"""What stands in each block of the documents can be meant: commands, options, files, settings."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from agent import config
from agent.cli.main import parser as agent_parser
from agent.wire.errors import ConfigError
from deploy.adapters import workspace
from deploy.assemble.controller import rollouts
from deploy.cli.main import COMMANDS as OPERATORS_COMMANDS
from deploy.cli.main import parser as operator_parser
from tests.docs import blocks
from tests.docs.blocks import ROOT, Block

ALL = [block for document in blocks.documents() for block in blocks.blocks(document)]
SHELL = [block for block in ALL if block.language in blocks.COMMANDS]
FOLDERS = frozenset({"agent", "deploy", "docs", "models", "systemd", "tests", "bench"})
DEVICE = (
    '[device]\nid = "pi-1"\n[broker]\nurl = "mqtt://127.0.0.1:1883"\n[trust]\nroot = "root.json"\n'
    '[camera]\nkind = "pattern"\n'
)


def named(found: list[Block]):
    return pytest.mark.parametrize("block", found, ids=lambda block: block.place)


@named(ALL)
def test_every_block_says_its_language(block):
    assert block.language in blocks.LANGUAGES


@named(SHELL)
def test_a_shell_can_read_it(block):
    done = subprocess.run(["bash", "-n"], input=block.commands, capture_output=True, text=True, check=False)
    assert done.stderr == ""


BEFORE = re.compile(r"^(sudo( -u \S+)?|runuser -u \S+ --|nice( -n \d+)?|time|exec) ")
"""What may stand before a program."""


def calls(block: Block, program: str) -> list[list[str]]:
    """What the program is given each time, wherever it lies."""
    found = []
    for words in blocks.calls(block.commands):
        while before := BEFORE.match(" ".join(words)):
            words = words[len(before[0].split()) :]  # noqa: PLW2901 - sudo nice shoal ...
        if words[0].rpartition("/")[2] == program:
            found.append(words[1:])
    return found


def understood(program: str, words: list[str]) -> str:
    """What is wrong with the words; empty: nothing."""
    made = operator_parser(words) if program == "shoal" else agent_parser()
    try:
        made.parse_args([word for word in words if word != "…"])
    except SystemExit as ended:
        return "" if ended.code == 0 else f"{program} {' '.join(words)}"
    return ""


@named(SHELL)
def test_its_commands_and_their_options_exist(block, capsys):
    wrong = [
        understood(program, words) for program in ("shoal", "shoal-agent") for words in calls(block, program)
    ]
    assert not any(wrong), f"{block.place}: {wrong}: {capsys.readouterr().err}"


@named(SHELL)
def test_its_files_in_the_checkout_exist(block):
    """Those whose first folder is one of the checkout's."""
    words = [word.removeprefix("./") for call in blocks.calls(block.commands) for word in call]
    paths = [word for word in words if word.split("/")[0] in FOLDERS and "/" in word]
    assert [path for path in paths if not list(ROOT.glob(path.rstrip("/")))] == []


@named(SHELL)
def test_its_extras_can_be_installed(block):
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = [extra for found in re.findall(r"\.\[([\w,-]+)\]", block.commands) for extra in found.split(",")]
    assert [extra for extra in wanted if extra not in known] == []


@named([block for block in ALL if block.language == "toml"])
def test_its_settings_are_accepted_by_who_reads_them(block, tmp_path):
    refusals = [refusal for read in (device, operator, policy) if (refusal := read(block.text, tmp_path))]
    assert len(refusals) < 3, "\n".join(refusals)


def device(text: str, folder: Path) -> str:
    given = tomllib.loads(text)
    missing = (section for section in DEVICE.split("[")[1:] if section.split("]")[0] not in given)
    return refused(config.read, folder / "agent.toml", f"{text}\n" + "".join(f"[{each}" for each in missing))


def operator(text: str, folder: Path) -> str:
    return refused(workspace.read, folder / "shoal.toml", text)


def policy(text: str, folder: Path) -> str:
    return refused(rollouts.read_policy, folder / "policy.toml", text)


def refused(read, path: Path, text: str) -> str:
    path.write_text(text)
    try:
        read(path)
    except ConfigError as error:
        return str(error)
    return ""


def test_what_is_called_json_is_json():
    for block in ALL:
        if block.language == "json":
            json.loads(block.text)


SAID = re.compile(r"`(shoal(?:-agent)? [^`]+)`")


@pytest.mark.parametrize("document", blocks.documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_text_exist_with_their_options(document):
    """There they are shortened: only what is named is looked up."""
    wrong = [said for said in SAID.findall(blocks.prose(document)) if not known(said)]
    assert wrong == []


def known(said: str) -> bool:
    program, *words = re.sub(r"[…\[\]]|\.\.\.", " ", said).replace("|", " | ").split()
    if "|" in words:
        words = words[: words.index("|")]
    if not words or words[0].startswith("-"):
        return True
    made = operator_parser(words) if program == "shoal" else agent_parser()
    options: set[str] = set()
    for word in words:
        below = next((each for each in made._actions if isinstance(each.choices, dict)), None)
        if below is None:
            break
        if word not in below.choices:
            return False
        made = below.choices[word]
    options |= set(made._option_string_actions)
    return all(word.partition("=")[0] in options for word in words if word.startswith("--"))


@pytest.mark.parametrize("document", blocks.documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_targets_of_make_exist(document):
    text = document.read_text()
    named_targets = {
        target
        for found in re.findall(
            r"(?:^|`)make ((?:[a-z][a-z0-9-]*(?:`, `(?:make )?| and )?)+)", text, re.MULTILINE
        )
        for target in re.findall(r"[a-z][a-z0-9-]+", found)
    } - {"make", "and"}
    makefile = (ROOT / "Makefile").read_text()
    assert [
        each for each in sorted(named_targets) if not re.search(rf"^{each}:", makefile, re.MULTILINE)
    ] == []


def test_the_commands_are_those_of_the_operator():
    """Otherwise nothing above would look anything up."""
    assert known(f"shoal {next(iter(OPERATORS_COMMANDS))}")
    assert not known("shoal relese")
    assert not known("shoal devices --colour")
    assert understood("shoal", ["devices", "--offline"]) == ""
    assert understood("shoal", ["devices", "--of-line"])
