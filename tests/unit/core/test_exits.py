import signal

import pytest

from agent.core import exits


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (1, "one\ntwo\n", "exit status 1: two"),
        (78, " \n", "exit status 78: no word"),
        (-signal.SIGSEGV, "one", "killed by SIGSEGV"),
        (-(signal.SIGRTMIN + 1), "", f"killed by signal {signal.SIGRTMIN + 1}"),
        (0, "done", "exit status 0: done"),
    ],
)
def test_an_end_is_told_by_its_signal_or_by_its_last_words(status, said, words):
    assert exits.with_last_words(status, said) == words
