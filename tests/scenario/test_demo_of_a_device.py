"""`shoal-agent demo`, as typed: the real worker with the shipped model, and the page over it."""

import json
import signal
import subprocess
import sys
from urllib.request import Request, urlopen

import pytest

WITHIN_S = 120.0
ARGV = (sys.executable, "-P", "-m", "agent", "demo")


@pytest.fixture
def demo():
    argv = (*ARGV, "--camera=replay", "--rate=10", "--listen=127.0.0.1:0")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def test_a_first_look_needs_nothing_but_the_program_and_ends_in_order(demo):
    url = next(line.split()[1] for line in demo.stdout if line.startswith("page: "))
    assert next(line for line in demo.stdout if line.startswith("frame "))
    with urlopen(f"{url}api/now", timeout=WITHIN_S) as answer:
        now = json.load(answer)
    pipeline = now["pipelines"]["main"]
    assert (now["broker"], now["may"]) == (None, ["pause", "resume"])
    assert pipeline["frames"][-1]["predictions"][0]["label"]
    assert pipeline["report"]["active"]["delegate_reason"]
    with urlopen(f"{url}api/frame?after=-1", timeout=WITHIN_S) as picture:
        assert picture.read(2) == b"\xff\xd8"
        first = picture.headers["X-Shoal-Sequence"]
    with urlopen(f"{url}api/frame?after={first}", timeout=WITHIN_S) as picture:
        assert picture.headers["X-Shoal-Sequence"] != first
    with urlopen(f"{url}metrics", timeout=WITHIN_S) as figures:
        assert b"shoal_" in figures.read()
    with urlopen(f"{url}api/stream", timeout=WITHIN_S) as stream:
        told = iter(stream)
        assert b"event: now\n" in told
        assert b"event: frame\n" in told
        pause = Request(f"{url}api/pause", b'{"paused": true}', {"Content-Type": "application/json"})
        with urlopen(pause, timeout=WITHIN_S) as answer:
            assert answer.status == 200
        assert b"event: report\n" in told
        assert json.loads(next(told).removeprefix(b"data: "))["report"]["paused"] is True
        demo.send_signal(signal.SIGINT)
        said, complained = demo.communicate(timeout=WITHIN_S)
    assert (demo.returncode, complained) == (0, "")
    assert "Traceback" not in said


def test_a_page_for_others_is_not_opened_without_a_password():
    ran = subprocess.run([*ARGV, "--listen=0.0.0.0:0"], capture_output=True, text=True, check=False)
    assert ran.returncode == 78
    assert ran.stderr.count("\n") == 1
    assert "can be reached from elsewhere" in ran.stderr


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "empty.tflite").touch()
    argv = (*ARGV, "--camera=pattern", "--listen=127.0.0.1:0", f"--model={tmp_path / 'empty.tflite'}")
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert f"{tmp_path / 'empty.tflite'}: not a TFLite model" in ran.stderr


def test_a_camera_that_gives_nothing_is_said_in_the_terminal_and_ctrl_c_still_ends_it(tmp_path):
    argv = (*ARGV, "--camera=replay", f"--photographs={tmp_path}", "--listen=127.0.0.1:0")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert next(line for line in running.stdout if line.startswith("camera: replay, lost: "))
            running.send_signal(signal.SIGTERM)
            said, complained = running.communicate(timeout=WITHIN_S)
        finally:
            running.kill()
    assert (running.returncode, complained) == (0, "")
    assert "Traceback" not in said
