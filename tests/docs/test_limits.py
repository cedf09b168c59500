"""The limits of a rollout, as docs/fleet.md lists them."""

import tomllib

import msgspec

from deploy.core.rollouts.words import Policy
from tests.docs import blocks
from tests.docs.blocks import ROOT


def test_the_list_of_limits_is_whole_and_says_their_defaults():
    listed = next(block for block in blocks.blocks(ROOT / "docs" / "fleet.md") if "[probation]" in block.text)
    assert tomllib.loads(listed.text) == msgspec.json.decode(msgspec.json.encode(Policy()))
