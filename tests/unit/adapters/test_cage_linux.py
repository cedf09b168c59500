"""The cage closes for good, so every test closes it around a process of its own."""

import errno
import json
import platform
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from agent.adapters import cage_linux
from agent.adapters.cage_linux import Cage, landlock, seccomp
from tests.rig import REPOSITORY, SHIPPED

AF = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16, "packet": 17, "vsock": 40}
ALLOWED, REFUSED = 0x7FFF0000, 0x00050000 | errno.EACCES

CAGED = """
import ctypes, json, os, platform, signal, socket, subprocess, sys, threading
from pathlib import Path
from agent.adapters import cage_linux

TRACE = {"x86_64": 101, "aarch64": 117}.get(platform.machine(), 26)
libc = ctypes.CDLL(None, use_errno=True)

def called(*arguments):
    if libc.syscall(*map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

network, folder, writes, hidden = json.loads(sys.argv[1])
writes = [*map(Path, writes), cage_linux.DEVICES]
cage = cage_linux.close(network=network, writes=writes, hidden=[*map(Path, hidden)])

def tried(act):
    try:
        act()
    except OSError as error:
        return error.strerror
    return "done"

here = Path(folder)
print(json.dumps({
    "files": cage.files,
    "network": cage.network,
    "connect": tried(lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=5).close()),
    "ipv6": tried(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()),
    "local": tried(lambda: socket.socket(socket.AF_UNIX).close()),
    "netlink": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()),
    "write": tried(lambda: (here / "new").write_text("x")),
    "append": tried(lambda: (here / "old").open("a").close()),
    "truncate": tried(lambda: os.truncate(here / "old", 0)),
    "remove": tried(lambda: (here / "old").unlink()),
    "folder": tried(lambda: (here / "folder").mkdir()),
    "read": tried(lambda: (here / "old").read_text()),
    "device": tried(lambda: Path("/dev/null").write_text("x")),
    "program": tried(lambda: subprocess.run(["true"])),
    "signal": tried(lambda: os.kill(os.getppid(), 0)),
    "group": tried(lambda: os.kill(0, 0)),
    "own": tried(lambda: os.kill(os.getpid(), 0)),
    "thread": tried(lambda: signal.pthread_kill(threading.get_ident(), 0)),
    "handle": tried(lambda: os.pidfd_open(os.getppid())),
    "memory": tried(lambda: Path(f"/proc/{os.getppid()}/mem").open("rb").close()),
    "trace": tried(lambda: called(TRACE, 16, os.getppid(), 0, 0)),
    "child": tried(lambda: os.fork() or os._exit(0)),
    "threads": tried(lambda: threading.Thread(target=int).start()),
    "program in memory": tried(lambda: os.execve(os.memfd_create("x"), ["x"], {})),
    "shared memory": tried(lambda: Path("/dev/shm/shoal-cage").write_text("x")),
    "temporary": tried(lambda: Path("/tmp/shoal-cage").write_text("x")),
}))
"""
NO = "Permission denied"


def missing(layer: str) -> str:
    return getattr(cage_linux.available(), layer)


needs_files = pytest.mark.skipif(bool(missing("files")), reason=missing("files"))
needs_network = pytest.mark.skipif(bool(missing("network")), reason=missing("network"))


def python(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def caged(tmp_path, port):
    """What a process manages in the cage; the port is one that it tries to reach."""

    def attempts(
        *, network: bool = False, writes: tuple[Path, ...] = (), hidden: tuple[Path, ...] = ()
    ) -> dict[str, str]:
        (tmp_path / "old").write_text("here before")
        settings = json.dumps([network, str(tmp_path), [*map(str, writes)], [*map(str, hidden)]])
        return json.loads(python(CAGED, settings, str(port)))

    return attempts


@needs_files
@needs_network
def test_a_caged_process_reaches_no_network_and_changes_no_file(caged):
    did = caged()
    assert {name for name, outcome in did.items() if outcome == NO} >= {
        "connect", "ipv6", "write", "append", "truncate", "remove", "folder", "program", "temporary",
        "shared memory",
    }  # fmt: skip
    assert {name for name, outcome in did.items() if outcome == "done"} >= {
        "local", "netlink", "read", "device",
    }  # fmt: skip
    assert (did["files"], did["network"]) == ("", "")


@needs_files
def test_only_what_it_is_allowed_to_write_is_written(caged, tmp_path):
    did = caged(writes=(tmp_path,))
    assert {did[act] for act in ("write", "append", "truncate", "remove", "folder")} == {"done"}


@needs_files
def test_a_single_file_may_be_allowed(caged, tmp_path):
    did = caged(writes=(tmp_path / "old", tmp_path / "never there"))
    assert (did["append"], did["write"], did["remove"]) == ("done", NO, NO)


def test_a_camera_that_is_a_stream_keeps_the_network(caged):
    did = caged(network=True)
    assert (did["connect"], did["ipv6"]) == ("done", "done")


CLASSIFIES = """
import json, sys
from pathlib import Path
from agent.adapters import cage_linux
how, runtime, model = sys.argv[1:]
if how == "caged":
    cage_linux.close(network=False)
import numpy as np
from agent.assemble.children import worker
loaded = worker.runtime(runtime).load(Path(model).read_bytes(), threads=2)
picture = np.arange(np.prod(loaded.input.shape)).reshape(loaded.input.shape) % 251
print(json.dumps(loaded.invoke(picture.astype(loaded.input.dtype.value)).tolist()))
"""


@pytest.mark.parametrize(("runtime", "package"), [("litert", "ai_edge_litert"), ("tflite", "tflite_runtime")])
def test_a_caged_process_still_classifies(runtime, package):
    pytest.importorskip(package, reason=f"{package} is not installed")
    free, caged = (json.loads(python(CLASSIFIES, how, runtime, str(SHIPPED))) for how in ("free", "caged"))
    assert caged == free


@needs_network
def test_a_caged_process_reaches_no_other_process_and_starts_none(caged):
    did = caged()
    assert {name for name, outcome in did.items() if outcome == NO} >= {
        "signal", "group", "handle", "trace", "child", "program in memory",
    }  # fmt: skip
    assert {did[act] for act in ("own", "thread", "threads")} == {"done"}


@needs_files
def test_the_memory_of_the_process_outside_is_out_of_reach(caged):
    assert caged()["memory"] == NO


@needs_files
@pytest.mark.parametrize("network", [False, True])
def test_what_is_hidden_cannot_be_read_and_all_else_can(caged, tmp_path, network):
    secret = tmp_path / "secrets" / "password"
    secret.parent.mkdir()
    secret.write_text("hush")
    (tmp_path / "link").symlink_to(secret)
    assert caged(hidden=(secret,), network=network)["read"] == "done"
    assert caged(hidden=(tmp_path / "old",), network=network)["read"] == NO
    assert caged(hidden=(tmp_path,), network=network)["read"] == NO


def test_what_stands_beside_a_secret_is_listed_in_few_places(tmp_path):
    for name in ("a/secret", "a/other", "b/c/d", "a/b/deep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "way").symlink_to(tmp_path / "a" / "secret")
    found = set(landlock.beside(tmp_path, frozenset({tmp_path / "a" / "secret", tmp_path / "never"})))
    assert found == {tmp_path / "b", tmp_path / "a" / "other", tmp_path / "a" / "b"}


def test_a_shielded_process_belongs_to_nobody_and_still_sees_itself():
    said = python(
        "import os\nfrom agent.adapters import cage_linux\ncage_linux.shield()\n"
        "print(os.stat('/proc/self/environ').st_uid, os.listdir('/proc/self/fd') != [])"
    )
    assert said.split() == ["0", "True"]


def verdict(program: bytes, audit_arch: int, number: int, first: int) -> int:
    """What the filter answers: an interpreter of the five instructions that it is made of."""
    fields = {4: audit_arch, 0: number, 16: first}
    steps = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        match code:
            case seccomp.LOAD:
                accumulator = fields[value]
            case seccomp.EQUAL:
                at += yes if accumulator == value else no
            case seccomp.AT_LEAST:
                at += yes if accumulator >= value else no
            case seccomp.ANY_BIT:
                at += yes if accumulator & value else no
            case seccomp.RETURN:
                return value


PID = 4711
machines = pytest.mark.parametrize("machine", sorted(seccomp.ABIS))


def filtered(
    machine: str, number: int, first: int = 0, *, network: bool = False, programs: bool = False
) -> int:
    abi = seccomp.ABIS[machine]
    return verdict(
        seccomp.program(abi, PID, network=network, programs=programs), abi.audit_arch, number, first
    )


@machines
@pytest.mark.parametrize("family", AF)
def test_the_filter_lets_local_sockets_and_netlink_through(machine, family):
    number = seccomp.ABIS[machine].socket
    expected = ALLOWED if family in {"unix", "netlink"} else REFUSED
    assert filtered(machine, number, AF[family]) == expected
    assert filtered(machine, number, AF[family], network=True) == ALLOWED


@machines
def test_the_filter_leaves_other_calls_alone_and_closes_the_ways_around_it(machine):
    abi = seccomp.ABIS[machine]
    program = seccomp.program(abi, PID, network=False, programs=False)
    assert filtered(machine, 1023, AF["inet"]) == ALLOWED
    assert filtered(machine, 425) == REFUSED, "io_uring"
    assert verdict(program, abi.audit_arch ^ 1, 1023, 0) == REFUSED, "another architecture"


@machines
@pytest.mark.parametrize("programs", [False, True])
def test_the_filter_lets_signals_reach_this_process_alone(machine, programs):
    for number in seccomp.ABIS[machine].own:
        assert filtered(machine, number, PID, programs=programs) == ALLOWED
        for other in (1, 0, 2**32 - 1, PID + 1):
            assert filtered(machine, number, other, programs=programs) == REFUSED


@machines
def test_the_filter_lets_threads_start_and_processes_only_where_they_are_needed(machine):
    abi = seccomp.ABIS[machine]
    assert filtered(machine, abi.clone, 0x3D0F00) == ALLOWED, "what the C library starts a thread with"
    assert filtered(machine, abi.clone, 17) == REFUSED, "and a process: SIGCHLD"
    assert filtered(machine, abi.clone, 17, programs=True) == ALLOWED
    assert filtered(machine, 435) == seccomp.UNKNOWN, "clone3"
    assert {filtered(machine, number) for number in abi.programs} == {REFUSED}
    assert {filtered(machine, number, programs=True) for number in abi.programs} == {ALLOWED}


def test_the_other_abi_of_x86_is_refused():
    assert filtered("x86_64", 0x40000000 | 41, AF["unix"]) == REFUSED


@pytest.mark.parametrize(
    ("machine", "pointer_bytes", "found"),
    [
        ("x86_64", 8, "x86_64"),
        ("aarch64", 8, "aarch64"),
        ("aarch64", 4, "arm"),
        ("armv7l", 4, "arm"),
        ("armv6l", 4, "arm"),
    ],
)
def test_the_filter_is_that_of_the_process_and_not_of_the_kernel(monkeypatch, machine, pointer_bytes, found):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(struct, "calcsize", lambda _: pointer_bytes)
    assert seccomp.abi() == seccomp.ABIS[found]


@pytest.mark.parametrize(("machine", "pointer_bytes"), [("x86_64", 4), ("s390x", 8)])
def test_an_unknown_machine_has_no_filter_and_says_so(monkeypatch, machine, pointer_bytes):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(struct, "calcsize", lambda _: pointer_bytes)
    assert machine in cage_linux.available().network


def test_what_is_missing_is_said():
    assert Cage("Landlock: this kernel was built without it", "").in_words() == {
        "files": "not caged: Landlock: this kernel was built without it",
        "network": "none",
    }
