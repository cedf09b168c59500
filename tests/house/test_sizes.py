"""Sizes to feel at home in."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_MAX_LINES = 400
FUNCTION_MEDIAN_LINES, FUNCTION_P90_LINES = 10, 30

SOURCES = sorted(path for package in ("agent", "deploy") for path in (ROOT / package).rglob("*.py"))


def function_lengths() -> list[tuple[int, str]]:
    """Lines of every function with its name, docstring and signature included, shortest first."""
    return sorted(
        (node.end_lineno - node.lineno + 1, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_no_file_outgrows_one_sitting():
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES
    }
    assert {name: count for name, count in lines.items() if count > FILE_MAX_LINES} == {}


def test_functions_fit_the_eye(capsys):
    lengths = function_lengths()
    median, p90, longest = (lengths[int(share * (len(lengths) - 1))] for share in (0.5, 0.9, 1.0))
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this test is for
            f"\nfunctions: {len(lengths)}, median {median[0]} lines, p90 {p90[0]}, "
            f"longest {longest[0]} ({longest[1]})"
        )
    assert median[0] <= FUNCTION_MEDIAN_LINES
    assert p90[0] <= FUNCTION_P90_LINES


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "manager", "misc"])
def test_a_module_is_named_for_what_it_knows(name):
    assert [str(path.relative_to(ROOT)) for path in SOURCES if path.stem == name] == []
