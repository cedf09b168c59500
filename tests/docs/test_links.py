"""Links between documents lead somewhere."""

import re

import pytest

from tests.docs import blocks
from tests.docs.blocks import ROOT

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("document", blocks.documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(document):
    lost = [
        link
        for link in LINK.findall(blocks.prose(document))
        if "://" not in link and not leads(document, link)
    ]
    assert lost == []


def leads(document, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return False
    return not anchor or (target.suffix == ".md" and anchor in blocks.anchors(target))


def test_a_link_that_leads_nowhere_is_found():
    readme = ROOT / "README.md"
    assert leads(readme, "docs/device.md#cameras")
    assert not leads(readme, "docs/device.md#camera-of-old")
    assert not leads(readme, "docs/devices.md")
