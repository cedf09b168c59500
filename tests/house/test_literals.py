"""One place knows how a topic is spelt."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOPIC = re.compile(r"(^|/)(device|chunk|target|meta)/")
HOME = ROOT / "agent" / "wire" / "topics.py"


def literals(path: Path) -> list[tuple[int, str]]:
    """Every string of the module with its line, but for docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    ]


def test_topics_are_spelt_in_one_module():
    stray = [
        f"{path.relative_to(ROOT)}:{line} {text!r}"
        for package in ("agent", "deploy")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path != HOME
        for line, text in literals(path)
        if TOPIC.search(text)
    ]
    assert stray == []


def test_the_search_finds_a_topic_where_there_is_one():
    assert any(TOPIC.search(text) for _, text in literals(HOME))
