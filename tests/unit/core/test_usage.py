"""What --help prints, however wide the terminal is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.usage import PROSE_MAX, Parser, filled

SAID = """\
Looks at what is there,
and says so.

examples:
  shoal look                  at all of it, from the first to the last, and back
  shoal look --at one-long-name --and another-long-name --and yet-another

modes:
  fast    at once
"""


def test_paragraphs_are_broken_anew_and_examples_stay_as_they_are():
    assert list(filled(SAID, 60)) == [
        "Looks at what is there, and says so.",
        "",
        "examples:",
        "  shoal look                  at all of it, from the first",
        "                              to the last, and back",
        "  shoal look --at one-long-name --and another-long-name --and yet-another",
        "",
        "modes:",
        "  fast    at once",
    ]


def test_where_there_is_no_room_beside_an_example_it_stays_a_line():
    assert SAID.splitlines()[4] in filled(SAID, 40)


@given(st.text(st.sampled_from("ab -\n:")), st.integers(30, 120))
def test_no_word_is_lost(text, width):
    assert " ".join(filled(text, width)).split() == text.split()


@pytest.mark.parametrize(("columns", "widest"), [("60", 58), ("80", 78), ("300", PROSE_MAX)])
def test_prose_is_as_wide_as_the_terminal_but_no_wider_than_one_reads(columns, widest, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    parser = Parser(prog="p", description="word " * 200, epilog="word " * 200)
    widths = [len(line) for line in parser.format_help().splitlines()]
    assert widest - len("word ") < max(widths) <= widest
