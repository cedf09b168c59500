"""Every finding is provoked, and told apart from all others by its name."""

import ast
import importlib
import pkgutil
from datetime import UTC, datetime, timedelta

import pytest

from agent.core import findings
from agent.core.edgetpu.words import Bus, Obstacle, Pycoral, Ready, Tpu, Trouble
from agent.core.findings import broker, devices, files, host, packages, runtime, trust, web
from agent.core.findings.child import Died, Failed, Late, Unstarted
from agent.core.findings.devices import CameraFails, CameraWorks
from agent.core.findings.files import Disk, Entry, Hidden, Missing, State, User
from agent.core.findings.finding import Area, Finding, Severity, can_serve
from agent.core.findings.host import Machine
from agent.core.findings.packages import Imported
from agent.core.findings.runtime import Computed
from agent.core.findings.trust import Damaged, Expiring, Unreadable
from agent.core.page.place import Place
from agent.core.refusal import Refusal
from agent.core.serving.delegate import RuntimeChoice

GIB = 2**30
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def machine(**other) -> Machine:
    plain = {
        "machine": "aarch64",
        "bits": 64,
        "python": (3, 11),
        "glibc": (2, 36),
        "glibcxx": (3, 4, 30),
        "page_bytes": 4096,
        "model": "Raspberry Pi 5 Model B Rev 1.0",
        "memory_bytes": 4 * GIB,
        "memory_available_bytes": 3 * GIB,
    }
    return Machine(**(plain | other))


LITERT = {"ai-edge-litert": "2.3.0", "numpy": "1.26.4"}
TFLITE = {"tflite-runtime": "2.14.0", "numpy": "1.26.4"}
BOTH = LITERT | TFLITE
RAN = Computed("ai-edge-litert 2.3.0", "xnnpack", "full-integer model", 0.02, 50)
OWN_KERNELS = Computed("tflite-runtime 2.14.0", "cpu", "no XNNPACK for integers", 0.02, 50)
ARRAY_API = Failed("numpy.core.multiarray failed to import")
SEGV = Died("killed by SIGSEGV")


def runs(versions, probe=RAN, choice=RuntimeChoice.AUTO, first=None, **other):
    return [runtime.runtime(machine(**other), versions, choice, probe, first)]


def entry(path="/var/lib/shoal", owner="shoal", group="shoal", mode=0o750, *, may=True):
    return Entry(path, owner, group, mode, readable=may, writable=may)


SHOAL = User("shoal", frozenset({"shoal", "video"}))
ROOT = User("root", frozenset({"root"}), root=True)
HOME = State(entry(), (), entry())
SECRET = "/etc/shoal/mqtt_password"


def may(user=SHOAL, state=HOME, secrets=(), nodes=()):
    return files.permissions(user, state, secrets, nodes)


def disk(**other):
    plain = {
        "path": "/var/lib",
        "free_bytes": GIB,
        "total_bytes": 8 * GIB,
        "free_inodes": 10_000,
        "read_only": False,
    }
    return [files.disk(Disk(**(plain | other)), 64 * 2**20)]


def visited(round_trip_ms=3.0, *, echoed=True, returned=True, published=True):
    seen = broker.Visited(
        round_trip_ms, echoed=echoed, returned=returned, published=published, connect_ms=9.0
    )
    return broker.broker("hub:1883", "3.1.1", seen, "home/pi/#", tls=False)


def refused(refusal):
    return broker.broker(
        "hub:1883", "3.1.1", broker.Refused(refusal, f"why: {refusal}"), "home/pi/#", tls=True
    )


def trusted(root, timestamp=None):
    return [trust.trust("/etc/shoal/root.json", root, timestamp, NOW)]


def numpy_with(outcome):
    return [packages.numpy_binding({"numpy": "2.4.6"}, {"simplejpeg": outcome})]


def tpu(diagnosis, *, required=False, running=False):
    return [devices.edgetpu("main", diagnosis, "RuntimeVersion(14)", required=required, running=running)]


def trouble(obstacle):
    return Trouble(obstacle, f"cause {obstacle}", f"remedy {obstacle}")


FRESH = Expiring(3, NOW + timedelta(days=1))
NODE = {"path": "/dev/video0", "owner": "root"}
OK, NOTE, DEGRADED, FATAL = Severity

CASES = [
    ([host.config("/etc/shoal/agent.toml", None)], "config", OK),
    ([host.config(None, None)], "config.none", NOTE),
    ([host.config("/a.toml", "configuration /a.toml line 1: unknown key 'x'")], "config.refused", FATAL),
    ([host.agent(None)], "agent", OK),
    ([host.agent(12)], "agent.running", NOTE),
    ([host.agent(None, "/var/lib/shoal")], "agent.unknown", NOTE),
    ([host.host(machine())], "host", OK),
    ([host.host(machine(glibc=None, glibcxx=None, model=""))], "host", OK),
    ([host.host(machine(bits=32))], "host.32-bit-userland", DEGRADED),
    ([host.host(machine(bits=32, machine="armv7l"))], "host.32-bit", NOTE),
    ([host.host(machine(memory_available_bytes=90 * 2**20))], "host.memory", DEGRADED),
    ([host.host(machine(python=(3, 15)))], "host.python", NOTE),
    ([host.clock("now", synchronized=True, plausible=True)], "clock", OK),
    ([host.clock("1970", synchronized=True, plausible=False)], "clock.past", DEGRADED),
    ([host.clock("now", synchronized=False, plausible=True)], "clock.unsynchronized", DEGRADED),
    ([web.no_page()], "web", OK),
    ([web.refused("web.password_file names nothing")], "web.refused", DEGRADED),
    ([web.page(Place("127.0.0.1", 8480), "", tls=False, asks=False)], "web", OK),
    ([web.page(Place("127.0.0.1", 8480), "in use", tls=False, asks=False)], "web.not-to-be-had", DEGRADED),
    ([web.page(Place("127.0.0.1", 8480, "127.0.0.1"), "", tls=False, asks=True)], "web", OK),
    ([web.page(Place("0.0.0.0", 8480), "", tls=False, asks=True)], "web.plain", NOTE),
    ([web.page(Place("0.0.0.0", 8480), "", tls=True, asks=True)], "web", OK),
    (disk(), "disk", OK),
    (disk(free_inodes=None), "disk", OK),
    (disk(read_only=True, free_bytes=0), "disk.read-only", FATAL),
    (disk(free_inodes=3), "disk.inodes", FATAL),
    (disk(free_bytes=2**20), "disk.full", DEGRADED),
    (may(), "permissions", OK),
    (may(ROOT), "permissions.root", NOTE),
    (may(state=State(entry(may=False), (), entry())), "permissions.state", FATAL),
    (may(state=State(Hidden("/root/s"), (), Hidden("/root"))), "permissions.state", FATAL),
    (may(state=State(entry(), (entry("/s/objects", may=False),), entry())), "permissions.state", FATAL),
    (may(state=State(Missing("/s/a"), (), entry("/s"))), "permissions", OK),
    (may(state=State(Missing("/s/a"), (), entry("/s", may=False))), "permissions.state-missing", FATAL),
    (may(secrets=[entry(SECRET, mode=0o600)]), "permissions", OK),
    (may(secrets=[entry(SECRET, mode=0o644)]), "permissions.world-readable", DEGRADED),
    (may(secrets=[entry(SECRET, may=False)]), "permissions.secret", FATAL),
    (may(secrets=[Hidden(SECRET)]), "permissions.secret", FATAL),
    (may(secrets=[Missing(SECRET)]), "permissions.secret-missing", FATAL),
    (may(nodes=[entry(**NODE, group="video")]), "permissions", OK),
    (may(nodes=[entry(**NODE, group="render", may=False)]), "permissions.group", DEGRADED),
    (may(nodes=[entry(**NODE, group="video", may=False)]), "permissions.mode", DEGRADED),
    (may(nodes=[entry(**NODE, group="root", may=False)]), "permissions.udev", DEGRADED),
    ([host.cage("", "")], "cage", OK),
    ([host.cage("no Landlock", "")], "cage.open", NOTE),
    ([host.cage("", "no seccomp")], "cage.open", NOTE),
    (runs(LITERT), "runtime", OK),
    (runs({"numpy": "1.26.4"}), "runtime.missing", FATAL),
    (runs({}, bits=32, machine="armv7l"), "runtime.missing", FATAL),
    (runs({}, bits=32, machine="armv7l", python=(3, 13)), "runtime.none-for-32-bit", FATAL),
    (runs(LITERT, choice=RuntimeChoice.TFLITE), "runtime.other", FATAL),
    (runs(LITERT, SEGV, glibc=(2, 31)), "runtime.glibc", FATAL),
    (runs(LITERT, Failed("ImportError"), glibcxx=(3, 4, 28)), "runtime.libstdcxx", FATAL),
    (runs(TFLITE | {"numpy": "2.4.6"}, ARRAY_API), "runtime.numpy", FATAL),
    (runs(TFLITE, ARRAY_API), "runtime.refused", FATAL),
    (runs(LITERT | {"numpy": "2.4.6"}, ARRAY_API), "runtime.refused", FATAL),
    (runs(BOTH, OWN_KERNELS, first=Failed("undefined symbol: x")), "runtime.fallback", DEGRADED),
    (runs(BOTH, SEGV), "runtime.crashed", FATAL),
    (runs(BOTH, Late(60.0)), "runtime.hung", FATAL),
    (runs(BOTH, Unstarted("python3: Permission denied")), "runtime.unstarted", FATAL),
    ([runtime.speed("a.tflite", Unstarted("python3: Permission denied"))], "speed.unstarted", DEGRADED),
    (numpy_with(Unstarted("python3: Permission denied")), "numpy", OK),
    ([runtime.delegate(RAN)], "delegate", OK),
    ([runtime.delegate(OWN_KERNELS)], "delegate.integer", NOTE),
    (
        [runtime.delegate(Computed("ai-edge-litert 2.3.0", "cpu", "0 of 2 operators", 0.02, 50))],
        "delegate.none",
        DEGRADED,
    ),
    ([runtime.speed("a.tflite", RAN)], "speed", OK),
    ([runtime.speed("", None)], "speed.none", NOTE),
    ([runtime.speed_left("a_edgetpu.tflite")], "speed.in-use", NOTE),
    ([runtime.speed("a.tflite", SEGV)], "speed.crashed", DEGRADED),
    ([runtime.speed("a.tflite", Failed("no model"))], "speed.refused", DEGRADED),
    ([runtime.speed("a.tflite", Failed("absent"), compiled=True)], "speed.edgetpu", DEGRADED),
    ([runtime.speed("a.tflite", SEGV, compiled=True)], "speed.edgetpu-crashed", DEGRADED),
    ([packages.numpy_binding({"numpy": "1.26.4"}, {})], "numpy", OK),
    (numpy_with(Imported()), "numpy", OK),
    (
        numpy_with(
            Failed(
                "numpy.dtype size changed, may indicate binary incompatibility. "
                "Expected 96 from C header, got 88 from PyObject"
            )
        ),
        "numpy.too-new",
        DEGRADED,
    ),
    (
        numpy_with(
            Failed(
                "numpy.dtype size changed, may indicate binary incompatibility. "
                "Expected 88 from C header, got 96 from PyObject"
            )
        ),
        "numpy.too-old",
        DEGRADED,
    ),
    (numpy_with(Failed("No module named 'libcamera'")), "numpy", OK),
    (numpy_with(Failed("libjpeg.so.62: cannot open shared object file")), "numpy.import", DEGRADED),
    (numpy_with(SEGV), "numpy.import", DEGRADED),
    ([packages.pycoral(Pycoral.ABSENT, {})], "pycoral", OK),
    ([packages.pycoral(Pycoral.WHOLE, {"pycoral": "2.0.0"})], "pycoral", OK),
    ([packages.pycoral(Pycoral.FOREIGN, {"pycoral": "0.2.0"})], "pycoral.wrong", NOTE),
    ([packages.pycoral(Pycoral.BROKEN, {"pycoral-pi5": "2.1.4"})], "pycoral.broken", NOTE),
    (trusted(FRESH, FRESH), "trust", OK),
    (trusted(FRESH), "trust.unused", NOTE),
    (trusted(Unreadable("No such file or directory")), "trust.missing", FATAL),
    (trusted(Damaged(), FRESH), "trust.damaged", FATAL),
    (trusted(FRESH, Unreadable("Permission denied")), "trust.cache", DEGRADED),
    (trusted(FRESH, Damaged()), "trust.cache", DEGRADED),
    (trusted(FRESH, Expiring(9, NOW)), "trust.stale", DEGRADED),
    (visited(), "broker", OK),
    (visited(1500.0), "broker.slow", DEGRADED),
    (visited(None, echoed=False), "broker.publish", FATAL),
    (visited(echoed=False, returned=False), "broker.denied", FATAL),
    (visited(returned=False), "broker.retained", FATAL),
    (visited(published=False)[1:], "broker.empty", NOTE),
    (broker.broker("hub:1883", "5", broker.Silent(16.0), "home/pi/#", tls=True), "broker.silent", DEGRADED),
    ([broker.unclaimed("3f9a01c2")], "broker.unclaimed", DEGRADED),
    ([broker.unclaimed("")], "broker.unclaimed", DEGRADED),
    *(
        (refused(refusal), f"broker.{refusal}", FATAL if fatal else DEGRADED)
        for refusal, fatal in {
            Refusal.NAME: True,
            Refusal.UNRESOLVED: False,
            Refusal.NOBODY: False,
            Refusal.UNREACHABLE: False,
            Refusal.SILENT: False,
            Refusal.CERTIFICATE: True,
            Refusal.CERTIFICATE_EXPIRED: True,
            Refusal.CERTIFICATE_EARLY: False,
            Refusal.CERTIFICATE_NAME: True,
            Refusal.CLIENT_CERTIFICATE: True,
            Refusal.TLS: True,
            Refusal.FILE: True,
            Refusal.CREDENTIALS: True,
            Refusal.PROTOCOL: True,
            Refusal.CLIENT_ID: True,
            Refusal.HUNG_UP: False,
            Refusal.OTHER: False,
        }.items()
    ),
    (tpu(Ready((Tpu(Bus.USB, 0, "/sys/bus/usb/devices/2-1"),))), "edgetpu", OK),
    *((tpu(trouble(obstacle), required=True), f"edgetpu.{obstacle}", None) for obstacle in Obstacle),
    (tpu(trouble(Obstacle.ABSENT)), "edgetpu.absent", NOTE),
    (tpu(trouble(Obstacle.ABSENT), required=True), "edgetpu.absent", FATAL),
    (tpu(trouble(Obstacle.LIBRARY_MISSING)), "edgetpu.library-missing", NOTE),
    (tpu(trouble(Obstacle.NOT_PERMITTED)), "edgetpu.not-permitted", DEGRADED),
    (tpu(trouble(Obstacle.BUSY)), "edgetpu.busy", DEGRADED),
    (tpu(trouble(Obstacle.BUSY), running=True), "edgetpu.busy", NOTE),
    ([devices.camera("main", CameraWorks("v4l2", "3 frames"))], "camera", OK),
    ([devices.camera("main", None)], "camera.in-use", NOTE),
    ([devices.camera("main", CameraFails("auto", "none", "plug one in"))], "camera.fails", FATAL),
    (
        [devices.camera("main", CameraFails("auto", "killed by SIGSEGV", "dmesg", crashed=True))],
        "camera.crashed",
        FATAL,
    ),
]


@pytest.mark.parametrize(("found", "name", "severity"), CASES, ids=[case[1] for case in CASES])
def test_each_state_of_the_machine_has_a_finding_of_its_own(found, name, severity):
    [finding] = found
    assert finding.name == name
    assert severity in {finding.severity, None}


@pytest.mark.parametrize(("found", "name", "severity"), CASES, ids=[case[1] for case in CASES])
def test_each_finding_has_one_line_of_cause_and_where_one_must_act_one_of_remedy(found, name, severity):
    del name, severity
    for finding in found:
        assert finding.cause
        assert "\n" not in finding.cause + finding.remedy
        assert not finding.cause.endswith(".")
        assert finding.area in Area
        if finding.severity in {Severity.DEGRADED, Severity.FATAL}:
            assert finding.remedy
        if finding.severity is Severity.OK:
            assert finding.name == finding.area
            assert not finding.remedy


def test_no_finding_is_left_unprovoked():
    """Every name that stands in the source is in the table; those that are put together are there by kind."""
    written = set()
    for module in pkgutil.iter_modules(findings.__path__):
        source = importlib.import_module(f"{findings.__name__}.{module.name}").__spec__.loader.get_source(
            None
        )
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                area, dot, kind = node.value.partition(".")
                if dot and area in list(Area) and kind.replace("-", "").isalnum() and kind.islower():
                    written.add(node.value)
    assert len(written) > 40
    settings = {"broker.root", "runtime.kind", "broker.ca", "broker.url"}
    assert not written - {case[1] for case in CASES} - settings


def test_two_causes_of_one_name_differ_in_words():
    """One name for one cause: what the table provokes twice under a name is the same trouble."""
    remedies: dict[str, set[str]] = {}
    for found, name, severity in CASES:
        if severity in {DEGRADED, FATAL} and not name.endswith(".unstarted"):
            remedies.setdefault(name, set()).add(found[0].remedy)
    assert len(remedies) == len({tuple(sorted(each)) for each in remedies.values()})


def test_only_a_fatal_finding_keeps_the_device_from_serving():
    plain = [Finding(name="host", severity=severity, cause="c") for severity in Severity]
    assert can_serve(plain[:3])
    assert not can_serve(plain)


def test_a_broker_without_releases_is_told_beside_that_it_works():
    assert [finding.name for finding in visited(published=False)] == ["broker", "broker.empty"]


def test_a_camera_of_many_nodes_is_one_finding_a_group():
    nodes = [entry(f"/dev/video{n}", group="video", may=False) for n in range(12)]
    nodes.append(entry("/dev/dma_heap/system", group="root", may=False))
    user = User("pi", frozenset({"pi"}))
    found = may(user, nodes=nodes)
    assert [finding.name for finding in found] == ["permissions.group", "permissions.udev"]
    assert found[0].cause == "/dev/video0 and 11 more is for the group video, to which pi does not belong"
    assert found[0].remedy.startswith("sudo usermod -aG video pi")


def test_nothing_is_said_of_a_delegate_where_no_model_ran():
    assert runtime.delegate(SEGV) is None


def test_a_runtime_that_stands_in_for_a_broken_one_says_why_and_how_to_mend_it():
    broken = Failed("ai-edge-litert cannot be imported (GLIBC_2.34 not found)")
    assert runtime.falls_back(BOTH, RuntimeChoice.AUTO, OWN_KERNELS)
    assert not runtime.falls_back(BOTH, RuntimeChoice.TFLITE, OWN_KERNELS)
    assert not runtime.falls_back(TFLITE, RuntimeChoice.AUTO, OWN_KERNELS)
    assert not runtime.falls_back(BOTH, RuntimeChoice.AUTO, RAN)
    [old] = runs(BOTH, OWN_KERNELS, first=broken, glibc=(2, 31))
    [other] = runs(BOTH, OWN_KERNELS, first=broken)
    assert "needs glibc 2.34" in old.cause
    assert "bookworm" in old.remedy
    assert other.cause.endswith(broken.detail)
