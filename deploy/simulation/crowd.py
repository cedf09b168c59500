"""The processes that hold a simulated fleet's devices: started, told, listened to, ended."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from agent.wire.errors import PortError, Unavailable
from deploy.simulation.telling import Ended, Post, Said, Sample, Word

END_S: Final = 90.0
WAIT_S: Final = 0.05


class Crowd:
    """All processes together. Each has a thread that reads what it says."""

    def __init__(self, posts: Sequence[Post], folder: Path) -> None:
        self._log = (folder / "devices.log").open("ab")
        self._samples: list[Sample] = [Sample()] * len(posts)
        self._ended: list[Ended | None] = [None] * len(posts)
        self._began_s = time.monotonic()
        self.timeline: list[tuple[float, Sample]] = []
        """Seconds since the start, and the whole fleet then."""
        self._processes = [self._start(number, post, folder) for number, post in enumerate(posts)]
        self._readers = [
            threading.Thread(target=self._read, args=(number,), daemon=True) for number in range(len(posts))
        ]
        for reader in self._readers:
            reader.start()

    def _start(self, number: int, post: Post, folder: Path) -> "subprocess.Popen[bytes]":
        told = folder / f"post-{number}.json"
        told.write_bytes(msgspec.json.encode(post))
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy.simulation", str(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # Ctrl-C is for who started it.
            start_new_session=True,
        )

    @property
    def now_s(self) -> float:
        """On the timeline."""
        return time.monotonic() - self._began_s

    @property
    def sample(self) -> Sample:
        """The whole fleet, as it was told last."""
        told = tuple(self._samples)
        return Sample(
            there=sum(each.there for each in told),
            on_stable=sum(each.on_stable for each in told),
            on_candidate=sum(each.on_candidate for each in told),
            exposed=sum(each.exposed for each in told),
            fallen=sum(each.fallen for each in told),
            broken=next((each.broken for each in told if each.broken), ""),
            cpu_s=sum(each.cpu_s for each in told),
            sent_bytes=sum(each.sent_bytes for each in told),
            received_bytes=sum(each.received_bytes for each in told),
            sent_messages=sum(each.sent_messages for each in told),
            received_messages=sum(each.received_messages for each in told),
            connects=sum(each.connects for each in told),
        )

    def mark(self) -> None:
        """Put this moment on the timeline."""
        self.timeline.append((self.now_s, self.sample))

    def tell(self, word: Word) -> None:
        """
        Raises:
            PortError: a process is gone.
        """
        for process in self._processes:
            assert process.stdin is not None
            try:
                process.stdin.write(msgspec.json.encode(word) + b"\n")
                process.stdin.flush()
            except OSError as error:
                raise PortError(f"a process with simulated devices is gone: {self._last_words()}") from error

    def wait(self, holds: Callable[[Sample], bool], within_s: float, what: str) -> float:
        """Wait for it; how long it took, in seconds.

        Raises:
            Unavailable: it did not come to that; the message says what did.
        """
        began_s = time.monotonic()
        while not holds(self.sample):
            self.check()
            if time.monotonic() - began_s > within_s:
                raise Unavailable(f"not within {within_s:g} s: {what}; the fleet is at {_shown(self.sample)}")
            time.sleep(WAIT_S)
        return time.monotonic() - began_s

    def check(self) -> None:
        """
        Raises:
            PortError: a process has ended, or an agent did that should not have.
        """
        if any(process.poll() is not None for process in self._processes):
            raise PortError(f"a process with simulated devices has ended: {self._last_words()}")
        if self.sample.broken:
            raise PortError(f"an agent ended that should not have: {self.sample.broken}")

    def ended(self) -> tuple[Ended, ...]:
        """After `Finish`: what each process says last.

        Raises:
            PortError: one did not say it.
        """
        for reader in self._readers:
            reader.join(END_S)
        if any(said is None for said in self._ended):
            raise PortError(f"a process with simulated devices did not end in order: {self._last_words()}")
        return tuple(said for said in self._ended if said is not None)

    def close(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.kill()
            process.wait()
            process.stdin.close()
        for reader in self._readers:
            reader.join()
        for process in self._processes:
            assert process.stdout is not None
            process.stdout.close()
        self._log.close()

    def _read(self, number: int) -> None:
        stdout = self._processes[number].stdout
        assert stdout is not None
        for line in stdout:
            match msgspec.json.decode(line, type=Said):
                case Sample() as sample:
                    self._samples[number] = sample
                    if number == 0:
                        self.mark()
                case Ended() as ended:
                    self._ended[number] = ended

    def _last_words(self) -> str:
        self._log.flush()
        said = Path(self._log.name).read_text(errors="replace").strip()
        return said[-600:] or "it said nothing"


def _shown(sample: Sample) -> str:
    return (
        f"{sample.there} there, {sample.on_stable} on the first release, {sample.on_candidate} on the "
        f"candidate, {sample.exposed} exposed"
    )


@contextmanager
def crowd(posts: Sequence[Post], folder: Path) -> Iterator[Crowd]:
    held = Crowd(posts, folder)
    try:
        yield held
    finally:
        held.close()


def processes(devices: int) -> int:
    """How many processes: one for each core, and none for a handful of devices."""
    return max(1, min(len(os.sched_getaffinity(0)), devices // 50))
