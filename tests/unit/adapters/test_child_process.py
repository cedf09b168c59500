"""The supervisor's end of the pipe, with small Python programs at the other end."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from agent.adapters import child_process
from agent.adapters.child_process import LINES_MAX, NOT_INHERITED, ChildProcess
from agent.wire import ipc
from agent.wire.errors import Unavailable
from agent.wire.ipc import FromWorker, InvokeFailed, Sample, Sampled, Stop

DEADLINE_S = 20.0
PIPE = """
import os, sys, time, signal
from agent.adapters.pipe_stdio import StdioPipe, become_child
from agent.wire import ipc
from agent.wire.ipc import InvokeFailed
become_child()
pipe = StdioPipe(ipc.to_worker)
say = lambda text: pipe.send(InvokeFailed(manifest="", sequence=0, detail=text))
"""

Child = ChildProcess[ipc.Message, FromWorker]


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def with_child(program: str, story: Callable[[Child], Awaitable[None]]) -> None:
    async def tell() -> None:
        argv = [sys.executable, "-P", "-c", program]
        child = await child_process.start(argv, ipc.from_worker, name="test")
        async with asyncio.timeout(DEADLINE_S):
            try:
                await story(child)
            finally:
                await child.close()
        assert not _alive(child.pid)

    asyncio.run(tell())


def test_messages_go_both_ways_and_the_end_is_the_end() -> None:
    async def story(child: Child) -> None:
        child.send(Sample())
        assert await child.receive() == InvokeFailed(manifest="", sequence=0, detail="Sample()")
        child.send(Stop())
        assert await child.receive() == InvokeFailed(manifest="", sequence=0, detail="Stop()")
        assert await child.receive() is None
        assert await child.ended() == "exit status 3"
        child.send(Sample())

    with_child(PIPE + "say(repr(pipe.receive()))\nsay(repr(pipe.receive()))\nsys.exit(3)", story)


def test_what_else_is_printed_does_not_get_between_the_messages(caplog: pytest.LogCaptureFixture) -> None:
    async def story(child: Child) -> None:
        assert await child.receive() == InvokeFailed(manifest="", sequence=0, detail="a")
        assert await child.receive() == InvokeFailed(manifest="", sequence=0, detail="b")
        assert await child.ended() == "exit status 0"

    program = "say('a')\nos.write(1, b'INFO: native\\n')\nprint('python')\nsay('b')"
    with caplog.at_level(logging.INFO):
        with_child(PIPE + program, story)
    assert [record.line for record in caplog.records if hasattr(record, "line")] == ["INFO: native", "python"]


def test_a_long_message_arrives_whole() -> None:
    async def story(child: Child) -> None:
        message = await child.receive()
        assert isinstance(message, Sampled)
        assert len(message.rgb) == 5_000_000

    said = "manifest='', sequence=0, height_px=1, width_px=1, predictions=(), invoke_ms=1.0"
    with_child(PIPE + f"pipe.send(ipc.Sampled({said}, rgb=bytes(5_000_000)))", story)


@pytest.mark.parametrize(
    "message",
    [
        "InvokeFailed(manifest='', sequence=-1, detail='')",
        "InvokeFailed(manifest='', sequence=0, detail='x' * 20_000)",
        "ipc.CameraTurned(state='live', lasted_s=float('nan'))",
        "ipc.Snapped(jpeg=bytes(200_000), height_px=1, width_px=1, sequence=1, captured_at=at)",
        "predicted(age=float('inf'))",
        "predicted(age=float('nan'))",
        "predicted(score=float('nan'))",
        "predicted(count=2_000)",
    ],
)
def test_what_no_worker_means_to_say_ends_it(message: str, caplog: pytest.LogCaptureFixture) -> None:
    async def story(child: Child) -> None:
        assert await child.receive() is None
        assert await child.ended() == "killed by SIGKILL"

    program = """
from datetime import UTC, datetime
at = datetime.now(UTC)
def predicted(age=1.0, score=0.5, count=1):
    ranked = (ipc.Ranked(index=0, label="", score=score),) * count
    took = ipc.StageLatency(capture=1.0, pre=1.0, invoke=1.0, post=1.0, age=age)
    return ipc.Predicted(
        manifest="", sequence=1, frame="", captured_at=at, predictions=ranked, latency_ms=took, frames=1,
        frames_dropped=0,
    )
"""
    with_child(f"{PIPE}{program}pipe.send({message})\ntime.sleep(60)", story)
    assert [record.message for record in caplog.records] == ["child.corrupt_stream"]


def test_a_child_that_floods_is_ended_and_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    async def story(child: Child) -> None:
        latest_s = 0.0

        async def beat() -> None:
            nonlocal latest_s
            loop = asyncio.get_running_loop()
            while True:
                began_s = loop.time()
                await asyncio.sleep(0.01)
                latest_s = max(latest_s, loop.time() - began_s)

        beating = asyncio.create_task(beat())
        while await child.receive() is not None:
            pass
        beating.cancel()
        assert await child.ended() == "killed by SIGKILL"
        assert latest_s < 3.0

    with_child(PIPE + "while True: say('x')", story)
    assert "more than 5000 things" in " ".join(str(vars(record).get("reason")) for record in caplog.records)


def test_a_process_that_a_child_leaves_behind_does_not_hold_the_supervisor() -> None:
    pids: list[int] = []

    async def story(child: Child) -> None:
        left = await child.receive()
        assert isinstance(left, InvokeFailed)
        pids.append(int(left.detail))
        began_s = asyncio.get_running_loop().time()
        await child.close()
        assert asyncio.get_running_loop().time() - began_s < 10.0

    leaves = """
if os.fork():
    os._exit(3)
os.setsid()
say(str(os.getpid()))
time.sleep(60)
"""
    try:
        with_child(PIPE + leaves, story)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("rubbish", [b"\xff\xff\xff\xff", b"\0\0\0\5hello", b"\0\0\0\1\x80"])
def test_a_corrupt_stream_kills_the_child(rubbish: bytes) -> None:
    async def story(child: Child) -> None:
        assert await child.receive() is None
        assert await child.ended() == "killed by SIGKILL"

    with_child(f"import os, time\nos.write(1, {rubbish!r})\ntime.sleep(60)", story)


def test_a_message_cut_short_is_the_end() -> None:
    async def story(child: Child) -> None:
        assert await child.receive() is None
        assert await child.ended() == "exit status 0"

    with_child("import os\nos.write(1, b'\\0\\0\\1\\0abc')", story)


def test_a_child_that_will_not_end_is_killed_after_its_patience() -> None:
    async def story(child: Child) -> None:
        await child.receive()
        began = asyncio.get_running_loop().time()
        await child.close()
        assert asyncio.get_running_loop().time() - began < 2.0
        assert await child.ended() == "killed by SIGKILL"

    with_child(PIPE + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsay('up')\ntime.sleep(60)", story)


def test_a_child_blocked_in_a_write_is_ended_all_the_same() -> None:
    async def story(child: Child) -> None:
        await child.receive()
        await child.close()

    program = "signal.signal(signal.SIGTERM, lambda *_: None)\nsay('up')\nsay('x' * 60_000_000)"
    with_child(PIPE + program, story)


def test_its_crash_keeps_its_own_reason_even_if_it_is_killed_after_it() -> None:
    async def story(child: Child) -> None:
        assert await child.receive() is None
        child.kill()
        child.kill()
        assert await child.ended() == "killed by SIGABRT"
        assert await child.ended() == "killed by SIGABRT"

    with_child("import os\nos.abort()", story)


def test_ctrl_c_is_left_to_the_supervisor() -> None:
    async def story(child: Child) -> None:
        assert await child.receive() == InvokeFailed(manifest="", sequence=0, detail="up")
        os.kill(child.pid, signal.SIGINT)
        child.send(Sample())
        assert await child.receive() == InvokeFailed(manifest="", sequence=0, detail="Sample()")

    with_child(PIPE + "say('up')\nsay(repr(pipe.receive()))", story)


def test_the_service_managers_variables_stay_with_the_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NOT_INHERITED:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SHOAL_TEST", "kept")

    async def story(child: Child) -> None:
        message = await child.receive()
        assert isinstance(message, InvokeFailed)
        names = set(message.detail.split())
        assert not names & NOT_INHERITED
        assert "SHOAL_TEST" in names

    with_child(PIPE + "say(' '.join(os.environ))", story)


def test_the_child_dies_with_its_supervisor() -> None:
    """Even if it reads no pipe: the kernel tells it. The program in the middle is the supervisor."""
    middle = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-P", "-c", {PIPE + "say('up')" + chr(10) + "time.sleep(60)"!r}],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.read(1)
print(child.pid, flush=True)
time.sleep(60)
"""

    async def tell() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", middle, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            grandchild = os.pidfd_open(int(await process.stdout.readline()))
            gone = asyncio.Event()
            asyncio.get_running_loop().add_reader(grandchild, gone.set)
            process.kill()
            await process.wait()
            await gone.wait()
        asyncio.get_running_loop().remove_reader(grandchild)
        os.close(grandchild)

    asyncio.run(tell())


def test_a_flood_on_standard_error_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    async def story(child: Child) -> None:
        await child.ended()

    with caplog.at_level(logging.INFO):
        with_child("import sys\nfor i in range(5000): print('line', i, 'x' * 2000, file=sys.stderr)", story)
    lines = [record.line for record in caplog.records if hasattr(record, "line")]
    assert len(lines) == LINES_MAX
    assert max(map(len, lines)) <= child_process.LINE_MAX_BYTES


def test_a_program_that_is_not_there_is_unavailable() -> None:
    async def tell() -> None:
        await child_process.start(["/nonexistent/program"], ipc.from_worker, name="test")

    with pytest.raises(Unavailable, match="test cannot be started"):
        asyncio.run(tell())


def test_the_command_line_carries_the_settings_as_one_argument() -> None:
    class Settings(msgspec.Struct):
        rate_fps: float = 2.5

    assert child_process.command("worker", Settings()) == [
        sys.executable,
        "-P",
        "-m",
        "agent",
        "worker",
        '{"rate_fps":2.5}',
    ]
