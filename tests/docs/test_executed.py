"""The commands in the documents do what they say: section by section, in a real shell, over a real broker."""

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from deploy.adapters.broker_local import BrokerKind, LocalBroker, installed_kinds
from tests.docs import blocks, elsewhere, world
from tests.docs.blocks import Block

EVERYTHING = "SHOAL_DOCS" in os.environ
"""Set by `make test-docs`: what is slow, too."""


def sections() -> dict[str, list[Block]]:
    """What is executed of each, by its name."""
    found: dict[str, list[Block]] = {}
    for document in blocks.documents():
        shell = [block for block in blocks.blocks(document) if block.language in blocks.COMMANDS]
        for section, those in groupby(shell, lambda block: block.section):
            kept = [block for block in those if here(block)]
            if kept:
                found[f"{document.relative_to(blocks.ROOT)}: {section}"] = kept
    return found


def here(block: Block) -> bool:
    rules = elsewhere.NOT_HERE if EVERYTHING else (*elsewhere.NOT_HERE, *elsewhere.SLOW)
    return elsewhere.rule(block.commands, rules) is None


SECTIONS = sections()


@pytest.fixture
def broker(brokers: Callable[[BrokerKind], LocalBroker]) -> LocalBroker:
    """As the reader's is, where it is installed."""
    kind = BrokerKind.MOSQUITTO if BrokerKind.MOSQUITTO in installed_kinds() else BrokerKind.EMBEDDED
    return brokers(kind)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_reader_who_follows_it_gets_there(name, broker, tmp_path):
    follow(SECTIONS[name], broker, tmp_path)


def follow(found: list[Block], broker: LocalBroker, folder: Path) -> None:
    root = f"shoal/docs-{folder.name}"
    with world.made(folder, f"{broker.host}:{broker.port}", root, found) as made:
        made.execute(found)


def test_a_wrong_word_in_the_readme_is_noticed(broker, tmp_path):
    right = next(each for kept in SECTIONS.values() for each in kept if "shoal-agent inspect" in each.text)
    wrong = replace(right, text=right.text.replace("--labels models/", "--labels model/"))
    assert (right.document.name, wrong == right) == ("README.md", False)
    with pytest.raises(AssertionError, match=r"labels\.txt: No such file"):
        follow([wrong], broker, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shoal init fleet\nshoal members", "there is no shoal.toml"),
        ("false | cat", "false"),
    ],
)
def test_a_command_that_fails_is_noticed(text, said, broker, tmp_path):
    block = Block(blocks.ROOT / "README.md", 1, "", "sh", text)
    with pytest.raises(AssertionError, match=said):
        follow([block], broker, tmp_path)
