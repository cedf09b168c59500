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
from agent.adapters.cage_linux import Cage
from tests.rig import REPOSITORY, SHIPPED

AF = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16, "packet": 17, "vsock": 40}
ALLOWED, REFUSED = 0x7FFF0000, 0x00050000 | errno.EACCES

CAGED = """
import json, os, socket, subprocess, sys
from pathlib import Path
from agent.adapters import cage_linux

network, folder, writes = json.loads(sys.argv[1])
cage = cage_linux.close(network=network, writes=[*map(Path, writes), cage_linux.DEVICES])

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

    def attempts(*, network: bool = False, writes: tuple[Path, ...] = ()) -> dict[str, str]:
        (tmp_path / "old").write_text("here before")
        settings = json.dumps([network, str(tmp_path), [str(path) for path in writes]])
        return json.loads(python(CAGED, settings, str(port)))

    return attempts


@needs_files
@needs_network
def test_a_caged_process_reaches_no_network_and_changes_no_file(caged):
    did = caged()
    assert {name for name, outcome in did.items() if outcome == NO} >= {
        "connect", "ipv6", "write", "append", "truncate", "remove", "folder", "program",
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
from agent.assemble import worker
loaded = worker.runtime(runtime).load(Path(model).read_bytes(), threads=2)
picture = np.arange(np.prod(loaded.input.shape)).reshape(loaded.input.shape) % 251
print(json.dumps(loaded.invoke(picture.astype(loaded.input.dtype.value)).tolist()))
"""


@pytest.mark.parametrize(("runtime", "package"), [("litert", "ai_edge_litert"), ("tflite", "tflite_runtime")])
def test_a_caged_process_still_classifies(runtime, package):
    pytest.importorskip(package, reason=f"{package} is not installed")
    free, caged = (json.loads(python(CLASSIFIES, how, runtime, str(SHIPPED))) for how in ("free", "caged"))
    assert caged == free


def verdict(program: bytes, audit_arch: int, number: int, first: int) -> int:
    """What the filter answers: an interpreter of the four instructions that it is made of."""
    fields = {4: audit_arch, 0: number, 16: first}
    steps = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        match code:
            case 0x20:
                accumulator = fields[value]
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x06:
                return value


@pytest.mark.parametrize("machine", sorted(cage_linux._ABIS))
@pytest.mark.parametrize("family", AF)
def test_the_filter_lets_local_sockets_and_netlink_through(machine, family):
    abi = cage_linux._ABIS[machine]
    expected = ALLOWED if family in {"unix", "netlink"} else REFUSED
    assert verdict(cage_linux._program(abi), abi.audit_arch, abi.socket, AF[family]) == expected


@pytest.mark.parametrize("machine", sorted(cage_linux._ABIS))
def test_the_filter_leaves_other_calls_alone_and_closes_the_ways_around_it(machine):
    abi = cage_linux._ABIS[machine]
    program = cage_linux._program(abi)
    assert verdict(program, abi.audit_arch, 0, AF["inet"]) == ALLOWED
    assert verdict(program, abi.audit_arch, 425, 0) == REFUSED, "io_uring"
    assert verdict(program, abi.audit_arch ^ 1, 0, 0) == REFUSED, "another architecture"


def test_the_other_abi_of_x86_is_refused():
    abi = cage_linux._ABIS["x86_64"]
    assert verdict(cage_linux._program(abi), abi.audit_arch, 0x40000000 | 41, AF["inet"]) == REFUSED


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
    assert cage_linux._seccomp_abi() == cage_linux._ABIS[found]


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
