"""What stands in the documents: sections, fenced blocks, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMANDS = frozenset({"sh", "console"})
LANGUAGES = COMMANDS | {"toml", "json", "yaml", "nginx", "ini", "jinja", "text"}
OPERATORS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "(", ")", "<("})
FENCE = re.compile(r"^ *(```+)(\S*)\s*$")
HEADING = re.compile(r"^(#{1,6}) (.*?) *#*$")


def documents() -> tuple[Path, ...]:
    """Every page that is for people, from the root of the checkout."""
    folders = ("docs", "deploy", "models", "systemd")
    found = [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]
    return tuple(sorted(path for path in found if "static" not in path.parts))


@dataclass(frozen=True, slots=True)
class Block:
    document: Path
    line: int
    """Of the fence that opens it."""
    section: str
    """The heading of the second level that it stands below; empty above the first."""
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> str:
        """As a shell reads them: of a console, what stands behind its prompts."""
        if self.language == "console":
            return "\n".join(line[2:] for line in self.text.splitlines() if line.startswith("$ "))
        return self.text


def blocks(document: Path) -> Iterator[Block]:
    """Of the document, in order; nothing that is inside of one is taken for a heading or a fence."""
    section, opened, kept = "", None, []
    for number, line in enumerate(document.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if opened is not None:
            if fence and fence[2] == "" and len(fence[1]) >= len(opened[1]):
                yield Block(document, opened[0], section, opened[2], "\n".join(kept))
                opened, kept = None, []
            else:
                kept.append(line)
        elif fence:
            opened = (number, fence[1], fence[2])
        elif (heading := HEADING.match(line)) and len(heading[1]) == 2:
            section = heading[2]
    assert opened is None, f"{document}:{opened[0]}: the block has no end"


def prose(document: Path) -> str:
    """All but the blocks."""
    kept, inside = [], False
    for line in document.read_text().splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def calls(text: str) -> Iterator[list[str]]:
    """The words of each command in lines of a shell, without redirections and comments."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>()")
        lexer.whitespace_split = True
        redirected = False
        for word in lexer:
            if redirected:
                redirected = False
            elif word in {">", ">>", "<"}:
                redirected = True
            elif word in OPERATORS:
                yield from filter(None, [words])
                words = []
            else:
                words.append(word)
        yield from filter(None, [words])


def anchors(document: Path) -> set[str]:
    """Of its headings, as GitHub and GitLab make them: lower case, blanks to dashes, no punctuation."""
    found: set[str] = set()
    for line in prose(document).splitlines():
        if heading := HEADING.match(line):
            text = re.sub(r"[`*\[\]]|\(.*?\)", "", heading[2]).lower()
            found.add(re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-"))
    return found
