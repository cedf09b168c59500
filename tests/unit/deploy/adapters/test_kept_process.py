import os
import signal
import sys
import time

from deploy.adapters import kept_process
from deploy.adapters.kept_process import kept
from deploy.adapters.page_process import page as program

WITHIN_S = 30.0
UNTIL_EOF = (sys.executable, "-c", "import sys; sys.stdin.read()")


def until(holds):
    ends = time.monotonic() + WITHIN_S
    while not (found := holds()):
        assert time.monotonic() < ends
        time.sleep(0.01)
    return found


def test_a_child_that_is_killed_is_begun_again_and_ends_with_whoever_keeps_it(monkeypatch):
    monkeypatch.setattr(kept_process, "PAUSE_S", 0.01)
    with kept(program(UNTIL_EOF)) as page:
        first = until(lambda: page.pid)
        os.kill(first, signal.SIGKILL)
        second = until(lambda: page.pid if page.pid != first else None)
        assert second != first
    assert page.pid is None


def test_one_that_waits_for_a_person_is_not_begun_again(tmp_path, caplog):
    counted = tmp_path / "begun"
    words = (sys.executable, "-c", f"open({str(counted)!r}, 'a').write('.'); raise SystemExit(78)")
    with kept(program(words)):
        until(lambda: "page.refused" in caplog.text)
    assert counted.read_text(encoding="utf-8") == "."


def test_a_program_that_is_not_there_is_tried_again_and_said(caplog, monkeypatch):
    monkeypatch.setattr(kept_process, "PAUSE_S", 0.01)
    with kept(program(("/nowhere/python",))) as page:
        until(lambda: caplog.text.count("page.unstarted") > 1)
        assert page.pid is None
