"""The store under power cuts in every single operation on the disk, and under SIGKILL at any instant."""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

import pytest

from agent.adapters.store_files import Disk, FileStore
from agent.core.update.lifecycle import Record
from agent.core.update.window import FIRST_LIMIT
from agent.wire.documents import Artifact, Chunk
from agent.wire.topics import Digest, sha256

REPOSITORY = Path(__file__).parents[2]


class PowerCut(BaseException):
    """Nothing catches it, as nothing catches a power cut."""


class Mercy(Enum):
    """What survives of that which was not made safe."""

    ALL = auto()
    """As after SIGKILL: the kernel lives on."""
    NOTHING = auto()
    SOME = auto()
    """Any data, torn or not, and the folders as they were at any instant since they were made safe."""


@dataclass
class Unsafe:
    """A change that a power cut may undo."""

    undo: Callable[[], None]
    tear: Callable[[], None] | None = None


class MortalDisk(Disk):
    """Counts the operations, dies in the midst of one of them, and forgets what was not made safe.

    Data and names are forgotten apart: a file's data until the file was synced, a folder's changes, from
    the last one backwards, until the folder was.
    """

    def __init__(self, stash: Path) -> None:
        self.operations = 0
        self.dies_at: int | None = None
        self._stash = stash
        stash.mkdir(parents=True)
        self._data: dict[int, list[Unsafe]] = {}
        self._names: dict[Path, list[Unsafe]] = {}

    def create(self, path: Path, content: bytes) -> None:
        if not path.exists():
            super().create(path, b"")
            self._note_name(path, lambda: path.unlink(missing_ok=True))
        super().create(path, b"")
        self.write(path, 0, content)

    def write(self, path: Path, offset: int, content: bytes) -> None:
        if not path.exists():
            super().write(path, 0, b"")
            self._note_name(path, lambda: path.unlink(missing_ok=True))
        if self._is_last():
            self._write(path, offset, content[: len(content) // 2])
            raise PowerCut
        self._write(path, offset, content)

    def sync(self, path: Path) -> None:
        if self._is_last():
            raise PowerCut
        if path.is_dir():
            self._names.pop(path, None)
        else:
            self._data.pop(path.stat().st_ino, None)

    def rename(self, path: Path, to: Path) -> None:
        if self._is_last():
            raise PowerCut
        bring_back = self._stashed(to)
        super().rename(path, to)

        def undo() -> None:
            to.rename(path)
            bring_back()

        self._note_name(to, undo)

    def remove(self, path: Path) -> None:
        if self._is_last():
            raise PowerCut
        bring_back = self._stashed(path)
        super().remove(path)
        self._note_name(path, bring_back)

    def forget(self, mercy: Mercy, rng: random.Random) -> None:
        """The power is gone: the disk holds what it held when it was last made safe, and some of the rest."""
        if mercy is Mercy.ALL:
            return
        for writes in self._data.values():
            for write in reversed(writes):
                fates = [write.undo, write.tear, None] if mercy is Mercy.SOME else [write.undo]
                fate = rng.choice(fates)
                if fate is not None:
                    fate()
        for names in self._names.values():
            kept = rng.randint(0, len(names)) if mercy is Mercy.SOME else 0
            for change in reversed(names[kept:]):
                change.undo()
        self._data.clear()
        self._names.clear()

    def _is_last(self) -> bool:
        self.operations += 1
        return self.operations == self.dies_at

    def _write(self, path: Path, offset: int, content: bytes) -> None:
        old = path.read_bytes()[offset : offset + len(content)].ljust(len(content), b"\0")
        twin = self._twin(path)
        super().write(path, offset, content)
        half = len(content) // 2
        put_back = super().write
        self._data.setdefault(path.stat().st_ino, []).append(
            Unsafe(lambda: put_back(twin, offset, old), lambda: put_back(twin, offset + half, old[half:]))
        )

    def _note_name(self, path: Path, undo: Callable[[], None]) -> None:
        self._names.setdefault(path.parent, []).append(Unsafe(undo))

    def _stashed(self, path: Path) -> Callable[[], None]:
        """How to bring back what stands there now."""
        if not path.exists():
            return lambda: None
        twin = self._twin(path)
        return lambda: os.link(twin, path)

    def _twin(self, path: Path) -> Path:
        """Another name for the same file, that nobody renames or removes."""
        twin = self._stash / str(len(list(self._stash.iterdir())))
        os.link(path, twin)
        return twin


PIECES = tuple(random.Random(7).randbytes(300 + n) for n in range(20))
CONTENT = b"".join(PIECES)
ARTIFACT = Artifact(
    digest=sha256(CONTENT),
    length=len(CONTENT),
    chunks=tuple(Chunk(sha256(piece), len(piece)) for piece in PIECES),
)
MANIFEST, OLD = b"the manifest", b"a file of the release before"


@dataclass
class Promises:
    """What the store has returned from, and what it was in the midst of."""

    plan_serials: set[int] = field(default_factory=lambda: {-1})
    """The records of which one must be loaded."""
    marked: set[bool] = field(default_factory=lambda: {True})
    """What `mark_running` may answer next."""
    safe: set[int] = field(default_factory=set)
    put: set[int] = field(default_factory=set)
    whole: set[Digest] = field(default_factory=set)


def save(store: FileStore, serial: int, promises: Promises) -> None:
    promises.plan_serials.add(serial)
    store.save(Record(plan_serial=serial))
    promises.plan_serials = {serial}


def update(store: FileStore, promises: Promises) -> None:
    """An update as the agent does it, from its start to its clean end."""
    promises.marked.add(False)
    store.mark_running()
    promises.marked = {False}
    save(store, 0, promises)
    for content in (OLD, MANIFEST):
        promises.whole.add(store.put(content))
    save(store, 1, promises)
    pull(store, promises)
    store.assemble(ARTIFACT)
    promises.whole.add(ARTIFACT.digest)
    save(store, 2, promises)
    promises.whole.discard(sha256(OLD))
    store.collect(frozenset(promises.whole))
    save(store, 3, promises)
    promises.marked.add(True)
    store.mark_stopped()
    promises.marked = {True}


def pull(store: FileStore, promises: Promises) -> None:
    missing = store.missing(ARTIFACT)
    promises.safe |= set(range(len(PIECES))) - set(missing)
    for start in range(0, len(missing), FIRST_LIMIT):
        window = missing[start : start + FIRST_LIMIT]
        for index in window:
            promises.put.add(index)
            store.put_chunk(ARTIFACT, index, PIECES[index])
        store.sync(ARTIFACT)
        promises.safe |= set(window)


def live(
    folder: Path, disk: MortalDisk, dies_at: int | None, mercy: Mercy, rng: random.Random, promises: Promises
) -> None:
    """One life; the power fails in the midst of an operation, or when all is done."""
    disk.operations, disk.dies_at = 0, dies_at
    with suppress(PowerCut):
        update(FileStore(folder, 0, disk), promises)
    disk.forget(mercy, rng)


def judge(folder: Path, promises: Promises) -> None:
    store = FileStore(folder, 0, QuickDisk())
    assert store.load().plan_serial in promises.plan_serials
    assert all(store.verify(digest) for digest in promises.whole)
    assert all(store.verify(Digest(path.name)) for path in (folder / "objects").iterdir())
    missing = set(store.missing(ARTIFACT))
    assert not missing & promises.safe
    assert len(missing & promises.put) <= FIRST_LIMIT
    if not store.verify(ARTIFACT.digest):
        partial = folder / "partial" / ARTIFACT.digest
        content = partial.read_bytes() if partial.exists() else b""
        assert set(claimed(content)) >= set(range(len(PIECES))) - missing
    assert store.mark_running() in promises.marked


def claimed(content: bytes) -> Iterator[int]:
    start = 0
    for index, piece in enumerate(PIECES):
        if content[start : start + len(piece)] == piece:
            yield index
        start += len(piece)


class QuickDisk(Disk):
    """No power is cut while it is in use, so nothing needs to be made safe."""

    def sync(self, path: Path) -> None:
        pass


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many there are in a life without a cut."""
    folder = tmp_path_factory.mktemp("unhurt")
    disk = MortalDisk(folder / "stash")
    live(folder / "state", disk, None, Mercy.ALL, random.Random(0), Promises())
    return disk.operations


@pytest.mark.parametrize("mercy", list(Mercy), ids=lambda mercy: mercy.name.lower())
def test_a_cut_in_any_operation_breaks_no_promise_and_costs_one_window(
    tmp_path: Path, operations: int, mercy: Mercy
) -> None:
    for dies_at in (*range(1, operations + 1), None):
        promises = Promises()
        folder = tmp_path / f"{dies_at}" / "state"
        folder.mkdir(parents=True)
        disk = MortalDisk(folder.parent / "stash")
        live(folder, disk, dies_at, mercy, random.Random(dies_at), promises)
        judge(folder, promises)
        live(folder, disk, None, mercy, random.Random(0), Promises())
        assert FileStore(folder, 0, QuickDisk()).verify(ARTIFACT.digest)


@pytest.mark.parametrize("seed", range(25))
def test_a_device_that_dies_again_and_again_gets_there(tmp_path: Path, operations: int, seed: int) -> None:
    rng = random.Random(seed)
    folder = tmp_path / "state"
    folder.mkdir()
    disk = MortalDisk(tmp_path / "stash")
    for _ in range(8):
        promises = Promises(plan_serials={load(folder)}, marked={not (folder / "running").exists()})
        live(folder, disk, rng.randint(1, operations), rng.choice(list(Mercy)), rng, promises)
        judge(folder, promises)
    live(folder, disk, None, Mercy.ALL, rng, Promises())
    store = FileStore(folder, 0, QuickDisk())
    assert store.load() == Record(plan_serial=3)
    assert store.verify(ARTIFACT.digest)
    assert {path.name for path in (folder / "objects").iterdir()} == {ARTIFACT.digest, sha256(MANIFEST)}


def load(folder: Path) -> int:
    return FileStore(folder, 0, QuickDisk()).load().plan_serial


def test_two_hundred_sigkills_break_no_promise_and_cost_one_window_each() -> None:
    """In memory where there is such a folder: SIGKILL leaves the kernel's cache alone anyway."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.scenario.kill_download", folder, "200", "1"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["broken"] == []
    assert verdict["kills"] == 200
    assert max(map(int, verdict["lost"])) <= FIRST_LIMIT
