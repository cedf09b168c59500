"""The simulated libedgetpu: built once a session, plugged and unplugged by tests, in whatever process it is.

The variables of its environment must be set in the process that loads it; children inherit them.
"""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from ctypes import CDLL, c_uint64
from dataclasses import dataclass
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from agent.wire.ipc import EdgeTpu

SOURCE = Path(__file__).with_name("edgetpu_sim.c")
TWIN = Path(__file__).with_name("twin.py")
FLAGS = ("-O1", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


_HOLD = """
import fcntl, sys
with open(sys.argv[1]) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print(flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Libraries:
    whole: Path
    bare: Path
    """Lacks `tflite_plugin_create_delegate`."""
    unlisted: Path
    """Lacks `edgetpu_list_devices` and `edgetpu_version`."""
    without_libusb: Path
    """Needs a libusb that no system has."""


def build(folder: Path) -> Libraries:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to build the simulated Edge TPU with: apt install gcc")
    usb, stub = folder / "libusb-absent.so.0", folder / "stub.c"
    stub.write_text("int libusb_init(void **context) { return context != 0; }\n")
    names = ("libedgetpu.so.1", "libbare.so.1", "libunlisted.so.1", "libusbless.so.1")
    libraries = Libraries(*(folder / name for name in names))

    def compiled(out: Path, source: Path, *extra: str) -> None:
        command = [compiler, *FLAGS, f'-DTWIN="{TWIN}"', "-o", str(out), str(source), *extra]
        subprocess.run(command, check=True, capture_output=True, text=True)

    compiled(libraries.whole, SOURCE, "-ldl")
    compiled(libraries.bare, SOURCE, "-DBARE")
    compiled(libraries.unlisted, SOURCE, "-DUNLISTED", "-ldl")
    compiled(usb, stub, f"-Wl,-soname,{usb.name}")
    compiled(libraries.without_libusb, stub, "-Wl,--no-as-needed", str(usb))
    usb.unlink()
    return libraries


class Simulator:
    """One set of Edge TPUs. Nothing is plugged in at first."""

    def __init__(self, libraries: Libraries, folder: Path, setenv: Callable[[str, str], object]) -> None:
        self.libraries = libraries
        self.library = str(libraries.whole)
        self._state = folder / "edgetpus"
        self._twins = folder / "twins"
        self._options = folder / "options"
        self._twins.mkdir()
        self._options.touch()
        self.environment = {
            "SHOAL_EDGETPU_SIM_STATE": str(self._state),
            "SHOAL_EDGETPU_SIM_TWINS": str(self._twins),
            "SHOAL_EDGETPU_SIM_OPTIONS": str(self._options),
        }
        for name, value in self.environment.items():
            setenv(name, value)
        self.set()

    def set(self, **values: int | str) -> None:
        """The whole state, as edgetpu_sim.c lists its keys; what is left out is 0 or none."""
        for bus in ("usb", "pci"):
            for number in range(int(values.get(bus, 0))):
                self.path(f"{bus}:{number}").touch()
        new = self._state.with_suffix(".new")
        new.write_text("".join(f"{key} {value}\n" for key, value in values.items()))
        new.replace(self._state)

    def plug(self, *, usb: int = 1, pci: int = 0, **values: int | str) -> None:
        self.set(usb=usb, pci=pci, **values)

    def unplug(self, *, loss: str = "abort") -> None:
        """A process in the middle of a run is aborted, as by the real library; `error`: its run fails."""
        self.set(loss=loss)

    def pair(self, compiled: bytes, twin: bytes) -> None:
        """From now on the compiled model computes what its twin does."""
        for options in _custom_options(compiled):
            (self._twins / f"{self._key(options):016x}.tflite").write_bytes(twin)

    def edgetpu(self, device: str = "", performance: str = "max") -> EdgeTpu:
        return EdgeTpu(library=self.library, device=device, performance=performance)

    def asked(self) -> list[str]:
        """The options of each attempt to open a device, as `device=usb:0 Performance=Low`."""
        return [line.strip() for line in self._options.read_text().splitlines()]

    def path(self, device: str) -> Path:
        """The device file of `usb:0`, say; whoever holds its lock has it open."""
        return self._state.with_name(f"{self._state.name}.{device.replace(':', '')}")

    @contextlib.contextmanager
    def held(self, device: str) -> Iterator[int]:
        """Another process has it open; its number."""
        command = [sys.executable, "-c", _HOLD, str(self.path(device))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                yield process.pid
            finally:
                process.stdin.close()

    def _key(self, options: bytes) -> int:
        ask = CDLL(self.library).edgetpu_sim_key
        ask.restype = c_uint64
        return ask(options, len(options))


def _custom_options(content: bytes) -> list[bytes]:
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    codes = [code.customCode == b"edgetpu-custom-op" for code in model.operatorCodes]
    operators = [each for each in model.subgraphs[0].operators if codes[each.opcodeIndex]]
    return [b"" if each.customOptions is None else bytes(each.customOptions) for each in operators]
