"""What a browser is given, as files: complete, of this host alone, and of a size that one reads."""

import posixpath
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

SERVED = {"static/fleet/": FLEET, "static/": SHARED}
"""What is at an address below a page, the longest first."""

_IMPORT = re.compile(r'(?:^|\s)from "(\.[^"]+)"', re.MULTILINE)
_NAMESPACES = re.compile(r'xmlns="[^"]*"')
_ELSEWHERE = re.compile(r"""https?://|["'(]//|(?:src|href)="/|url\(/|["']/(?:api|static)/""")
_NAMED = re.compile(r"""(?:href|src)="(static/[^"]+)\"""")
_AT_ONCE = re.compile(r'<[^>]*"module[^>]*>')
_EXPORT = re.compile(r"^export (?:async )?(?:function|const|class) (\w+)", re.MULTILINE)
_MARKUP_OF_TEXT = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


def served(address: str) -> Path:
    below = next(prefix for prefix in SERVED if address.startswith(prefix))
    return SERVED[below] / address.removeprefix(below)


def modules(entry: str) -> set[str]:
    """The addresses of all that a module takes with it, its own included."""
    found, waiting = set[str](), [entry]
    while waiting:
        address = waiting.pop()
        if address not in found:
            found.add(address)
            beside = posixpath.dirname(address)
            waiting += [
                posixpath.normpath(posixpath.join(beside, name))
                for name in _IMPORT.findall(served(address).read_text())
            ]
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


@pytest.mark.parametrize("path", [path for path in OWN if path.suffix == ".js"], ids=lambda path: path.name)
def test_no_text_becomes_markup_or_code(path: Path):
    assert _MARKUP_OF_TEXT.findall(path.read_text()) == []


@pytest.mark.parametrize(
    ("page", "entry"),
    [
        (SHARED / "device/index.html", "static/device/main.js"),
        (FLEET / "index.html", "static/fleet/main.js"),
    ],
    ids=["device", "fleet"],
)
def test_a_page_asks_for_all_of_its_modules_at_once_and_for_no_other(page: Path, entry: str):
    asked = {address for tag in _AT_ONCE.findall(page.read_text()) for address in _NAMED.findall(tag)}
    assert asked == modules(entry)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_whatever_a_page_names_is_there(path: Path):
    named = _NAMED.findall(path.read_text())
    assert named
    assert [address for address in named if not served(address).is_file()] == []


def test_every_file_is_asked_for_by_a_page():
    named = {served(address) for page in PAGES for address in _NAMED.findall(page.read_text())}
    vendored = {path for path in (SHARED / "vendor").rglob("*") if path.suffix in {".js", ".css"}}
    assert {*OWN, *vendored} - {*PAGES, *named} == set()


def names(listed: str) -> set[str]:
    return {name.partition(" as ")[0].strip() for name in listed.split(",")} - {""}


def test_what_a_module_offers_another_takes():
    text = "\n".join(path.read_text() for path in OWN if path.suffix == ".js")
    offered = {*_EXPORT.findall(text)}.union(*map(names, re.findall(r"export \{([^}]+)\}", text)))
    taken = {*re.findall(r"\bwords\.(\w+)", text)}.union(*map(names, re.findall(r"import \{([^}]+)\}", text)))
    assert offered - taken == set()


def test_what_is_of_others_is_listed_with_its_licence():
    vendor = SHARED / "vendor"
    listed = re.findall(r"`([^`]+)`", (vendor / "README.md").read_text())
    files = {str(path.relative_to(vendor)) for path in vendor.rglob("*.*") if path.suffix in {".js", ".css"}}
    assert files == {one for one in listed if "/" in one}
    assert all(any((vendor / one).parent.glob("LICENSE*")) for one in files)
