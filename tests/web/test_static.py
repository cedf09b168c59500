"""What a browser is given, as files: complete, of this host alone, and of a size that one reads."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY / "agent/adapters/web/static"
FLEET = REPOSITORY / "deploy/page/static"
LINES_MAX = 400
OWN = sorted(
    path
    for folder in (SHARED, FLEET)
    for path in folder.rglob("*")
    if path.suffix in {".html", ".css", ".js", ".svg"} and "vendor" not in path.parts
)
NAMED = [str(path.relative_to(REPOSITORY)) for path in OWN]
PAGES = [path for path in OWN if path.suffix == ".html"]

_IMPORT = re.compile(r'(?:^|\s)from "(\.[^"]+)"', re.MULTILINE)
_NAMESPACES = re.compile(r'xmlns="[^"]*"')
_ELSEWHERE = re.compile(r"""https?://|["'(]//|(?:src|href)="/|url\(/|["']/(?:api|static)/""")
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


def modules(entry: Path) -> set[Path]:
    """All that a module takes with it, itself included."""
    found, waiting = set[Path](), [entry]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [(path.parent / name).resolve() for name in _IMPORT.findall(path.read_text())]
    return found


@pytest.mark.parametrize("path", OWN, ids=NAMED)
def test_a_file_asks_for_nothing_elsewhere_and_for_nothing_absolute(path: Path):
    assert _ELSEWHERE.findall(_NAMESPACES.sub("", path.read_text())) == []


@pytest.mark.parametrize("path", OWN, ids=NAMED)
def test_a_file_is_short_enough_to_be_read(path: Path):
    assert len(path.read_text().splitlines()) <= LINES_MAX


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_page_has_nothing_inline_that_its_policy_forbids(path: Path):
    assert _INLINE.findall(path.read_text()) == []


def test_the_devices_page_asks_for_all_of_its_modules_at_once():
    page = (SHARED / "device/index.html").read_text()
    asked = {
        SHARED / name for name in re.findall(r'(?:modulepreload" href|<script src)="static/([^"]+)"', page)
    }
    needed = modules(SHARED / "device/main.js")
    assert asked - {SHARED / "vendor/uplot/uPlot.iife.min.js"} == needed


@pytest.mark.parametrize("name", ["device/index.html", "sign-in.html"])
def test_whatever_a_page_names_is_there(name: str):
    named = re.findall(r'(?:href|src)="static/([^"]+)"', (SHARED / name).read_text())
    assert named
    assert [one for one in named if not (SHARED / one).is_file()] == []


def test_what_is_of_others_is_listed_with_its_licence():
    vendor = SHARED / "vendor"
    listed = re.findall(r"`([^`]+)`", (vendor / "README.md").read_text())
    files = {str(path.relative_to(vendor)) for path in vendor.rglob("*.*") if path.suffix in {".js", ".css"}}
    assert files == {one for one in listed if "/" in one}
    assert all(any((vendor / one).parent.glob("LICENSE*")) for one in files)
