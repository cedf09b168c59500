"""The host read from folders that stand for procfs and sysfs."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.adapters.machine import sensors
from agent.adapters.machine.sensors import COMMAND_REST_READS, LinuxHost, rss_bytes
from agent.core.telemetry.vitals import CpuTime, Gauges

STAT = "cpu  100 20 30 800 50 3 7 10 5 0\ncpu0 100 20 30 800 50 3 7 10 5 0\nintr 1\n"
MEMINFO = "MemTotal:        3884376 kB\nMemFree:          120000 kB\nMemAvailable:    2500000 kB\n"


class Machine:
    def __init__(self, folder: Path) -> None:
        self.proc, self.sys, self.state = folder / "proc", folder / "sys", folder / "state"
        self.state.mkdir(parents=True)
        self.command: str | None = str(folder / "no-vcgencmd")

    def write(self, path: str, content: str) -> Path:
        file = self.sys.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def vcgencmd(self, body: str) -> Path:
        """A command that notes each call and goes on with this."""
        calls = self.write("calls", "")
        script = self.write(
            "vcgencmd",
            f"#!{sys.executable} -S\nimport sys, time\nopen({str(calls)!r}, 'a').write('x')\n{body}\n",
        )
        script.chmod(0o755)
        self.command = str(script)
        return calls

    def host(self) -> LinuxHost:
        return LinuxHost(self.state, proc=self.proc, sys=self.sys, vcgencmd=self.command)

    def read(self) -> Gauges:
        return self.host().read()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_host_without_any_of_it_tells_the_disk_alone(machine: Machine) -> None:
    found = machine.read()
    assert found == Gauges(disk_free_bytes=found.disk_free_bytes)
    assert found.disk_free_bytes is not None
    assert found.disk_free_bytes > 0


def test_a_state_folder_that_is_not_there_has_no_free_space(machine: Machine) -> None:
    machine.state.rmdir()
    assert machine.read() == Gauges()


@pytest.mark.parametrize(
    ("zones", "soc_c"),
    [
        ({"thermal_zone0": ("cpu-thermal\n", "61322\n")}, 61.322),
        ({"thermal_zone0": ("acpitz", "30000"), "thermal_zone3": ("x86_pkg_temp", "55000")}, 55.0),
        ({"thermal_zone0": ("soc-thermal", "50000"), "thermal_zone1": ("CPU-therm", "70000")}, 70.0),
        ({"thermal_zone0": ("battery", "25000")}, None),
        ({"thermal_zone0": ("cpu-thermal", "")}, None),
        ({"thermal_zone0": ("cpu-thermal", "hot")}, None),
        ({"thermal_zone0": ("cpu-thermal", "-5000")}, -5.0),
    ],
)
def test_the_temperature_is_that_of_the_socs_own_zone(
    machine: Machine, zones: dict[str, tuple[str, str]], soc_c: float | None
) -> None:
    for zone, (kind, millicelsius) in zones.items():
        machine.write(f"sys/class/thermal/{zone}/type", kind)
        machine.write(f"sys/class/thermal/{zone}/temp", millicelsius)
    assert machine.read().soc_c == soc_c


def test_a_sensor_that_goes_and_comes_is_none_meanwhile(machine: Machine) -> None:
    machine.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
    temp = machine.write("sys/class/thermal/thermal_zone0/temp", "50000")
    host = machine.host()
    temp.unlink()
    assert host.read().soc_c is None
    temp.write_text("51000")
    assert host.read().soc_c == 51.0


def test_an_edge_tpu_on_pcie_has_a_temperature(machine: Machine) -> None:
    machine.write("sys/class/apex/apex_0/temp", "47800\n")
    assert machine.read().tpu_c == 47.8


@pytest.mark.parametrize(
    "place",
    [
        "soc/soc:firmware/get_throttled",
        "soc@107c000000/soc@107c000000:firmware/get_throttled",
        "soc:firmware/get_throttled",
    ],
)
@pytest.mark.parametrize(
    ("content", "bits"), [("0\n", 0), ("50005\n", 0x50005), ("0xd0000", 0xD0000), ("", None)]
)
def test_the_kernel_gives_the_firmwares_bits_in_hexadecimal(
    machine: Machine, place: str, content: str, bits: int | None
) -> None:
    machine.write(f"sys/devices/platform/{place}", content)
    calls = machine.vcgencmd("print('throttled=0x1')")
    assert machine.read().throttled_bits == bits
    assert calls.read_text() == ""


def test_where_the_kernel_does_not_the_firmware_is_asked_by_its_command(machine: Machine) -> None:
    machine.vcgencmd("assert sys.argv[1:] == ['get_throttled']; print('throttled=0x50005')")
    assert machine.read().throttled_bits == 0x50005


@pytest.mark.parametrize(
    "body",
    [
        "sys.exit(255)",
        "print('VCHI initialization failed')",
        "sys.stdout.buffer.write(bytes([255, 254]))",
        "time.sleep(60)",
    ],
)
def test_a_command_that_fails_or_hangs_is_left_alone_for_a_while(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(sensors, "COMMAND_S", 0.5)
    calls = machine.vcgencmd(body)
    host = machine.host()
    assert [host.read().throttled_bits for _ in range(COMMAND_REST_READS + 1)] == [None] * (
        COMMAND_REST_READS + 1
    )
    assert calls.read_text() == "x"
    machine.vcgencmd("print('throttled=0x0')")
    assert host.read().throttled_bits == 0


def test_cpu_time_is_busy_but_for_idling_and_waiting(machine: Machine) -> None:
    machine.write("proc/stat", STAT)
    assert machine.read().cpu == CpuTime(busy=170, whole=1020)


@pytest.mark.parametrize("stat", ["", "cpu", "cpu a b c d e", "intr 1 2 3 4 5 6"])
def test_a_stat_that_is_none_is_no_cpu_time(machine: Machine, stat: str) -> None:
    machine.write("proc/stat", stat)
    assert machine.read().cpu is None


@pytest.mark.parametrize(("meminfo", "found"), [(MEMINFO, 2_560_000_000), ("MemTotal: 3 kB\n", None)])
def test_available_memory_is_the_kernels_own_estimate(
    machine: Machine, meminfo: str, found: int | None
) -> None:
    machine.write("proc/meminfo", meminfo)
    assert machine.read().memory_available_bytes == found


def test_this_very_machine_tells_its_cpu_memory_and_disk(tmp_path: Path) -> None:
    found = LinuxHost(tmp_path).read()
    assert found.cpu is not None
    assert 0 < found.cpu.busy < found.cpu.whole
    assert found.memory_available_bytes is not None
    assert found.disk_free_bytes is not None


@pytest.mark.parametrize("worker", [lambda: None, lambda: 2**22 + 1])
def test_a_process_that_is_not_up_has_no_memory(worker: Callable[[], int | None]) -> None:
    assert set(rss_bytes(worker())) == {"supervisor"}
    assert set(rss_bytes(os.getpid())) == {"supervisor", "worker"}
