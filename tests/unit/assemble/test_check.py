"""The examination itself, on this machine and with parts of it taken away: children, broker, Edge TPU."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent import config
from agent.assemble.checking import check, check_broker, check_child
from agent.assemble.checking.check import AREAS, Examination
from agent.assemble.links import link_settings
from agent.config import Broker
from agent.core.findings.broker import Refused, Visited
from agent.core.findings.child import Died, Failed
from agent.core.findings.devices import CameraFails, CameraWorks
from agent.core.findings.finding import Area
from agent.core.findings.packages import Imported
from agent.core.findings.runtime import Computed
from agent.core.refusal import Refusal
from agent.core.serving.delegate import RuntimeChoice
from agent.wire import topics
from agent.wire.topics import DeviceId
from tests import models
from tests.fakes.tflite import Form, classifier, edgetpu

DEVICE = DeviceId("examined")


def test_every_area_is_examined_in_its_order():
    assert list(AREAS) == list(Area)


def test_the_model_that_is_part_of_the_program_runs_and_is_delegated():
    ran = check_child.probe("", RuntimeChoice.AUTO)
    assert isinstance(ran, Computed)
    assert ran.delegate == "xnnpack"
    assert ran.median_ms < 50


def test_what_a_runtime_refuses_comes_back_in_words(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"no model at all")
    refused = check_child.probe(str(tmp_path / "a.tflite"), RuntimeChoice.AUTO)
    missing = check_child.probe(str(tmp_path / "b.tflite"), RuntimeChoice.AUTO)
    assert isinstance(refused, Failed)
    assert missing == Failed("No such file or directory")


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("", Imported()),
        ("raise ValueError('numpy.dtype size changed')", Failed("numpy.dtype size changed")),
        ("import ctypes; ctypes.string_at(0)", Died("killed by SIGSEGV")),
        ("import os; os.abort()", Died("killed by SIGABRT")),
        (
            "import sys; print('F driver/usb', file=sys.stderr); sys.exit(3)",
            Died("exit status 3", "F driver/usb"),
        ),
        ("raise KeyError('x')", Died("exit status 1", "KeyError: 'x'")),
        ("print('a library that talks')", Imported()),
    ],
)
def test_a_package_is_imported_where_it_can_do_no_harm(tmp_path, monkeypatch, source, outcome):
    (tmp_path / "trap.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert check_child.import_module("trap") == outcome


def test_a_package_that_hangs_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(check_child, "IMPORT_MAX_S", 1.0)
    assert check_child.import_module("trap") == check_child.Late(1.0)


def test_a_camera_is_looked_through_in_a_child(tmp_path):
    pattern = check_child.look_through(config.Camera(kind=config.CameraKind.PATTERN, rate_fps=100.0))
    replay = check_child.look_through(
        config.Camera(kind=config.CameraKind.REPLAY, folder=str(tmp_path / "none"))
    )
    assert isinstance(pattern, CameraWorks)
    assert isinstance(replay, CameraFails)
    assert not replay.crashed


def visit(section):
    return check_broker.visit(link_settings(section, DEVICE, None), topics.root(section.root), DEVICE)


def test_a_broker_is_visited_and_left_as_it_was(broker):
    section = Broker(url=broker.url, root="shoal/visited")
    for _ in range(2):
        seen = visit(section)
        assert isinstance(seen, Visited)
        assert seen.round_trip_ms is not None
        assert seen.echoed
        assert seen.returned
        assert not seen.published


def test_where_nobody_listens_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    seen = visit(Broker(url=f"mqtt://127.0.0.1:{port}"))
    assert seen == Refused(Refusal.NOBODY, f"no broker listens on 127.0.0.1:{port}")


def test_a_port_that_hangs_up_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            connection, _ = server.accept()
            with closing(connection):
                connection.recv(1024)

        thread = threading.Thread(target=hang_up)
        thread.start()
        seen = visit(Broker(url=f"mqtt://127.0.0.1:{server.getsockname()[1]}"))
        thread.join()
    assert isinstance(seen, Refused)
    assert seen.refusal is Refusal.HUNG_UP


def test_a_missing_password_file_is_told():
    section = Broker(url="mqtt://127.0.0.1:9", username="a", password_file="/nowhere/password")
    seen = visit(section)
    assert isinstance(seen, Refused)
    assert seen.refusal is Refusal.FILE


def found(folder, area, more="", model=None):
    path = folder / "agent.toml"
    path.write_text(f"camera.kind = 'pattern'\n{more}")
    examination = Examination(config.examine(path), None, model)
    return {finding.name: finding for finding in check.examine(examination, [area])}


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ({"usb": 1}, "edgetpu"),
        ({}, "edgetpu.absent"),
        ({"pci": 1}, "edgetpu.no-such-device"),
        ({"usb": 1, "mute": 1}, "edgetpu.not-answering"),
        ({"usb": 1, "fault": "create"}, "edgetpu.abi-mismatch"),
    ],
)
def test_each_state_of_an_edge_tpu_reaches_its_finding(tmp_path, edgetpus, state, name):
    edgetpus.set(**state)
    section = f"runtime = {{ edgetpu_library = '{edgetpus.library}', edgetpu_device = 'usb' }}"
    assert list(found(tmp_path, Area.EDGETPU, section)) == [name]


def test_libraries_that_are_no_libedgetpu_are_told_apart(tmp_path, edgetpus):
    for library, name in (
        ("libnowhere.so.1", "edgetpu.library-missing"),
        (edgetpus.libraries.bare, "edgetpu.not-a-delegate"),
        (edgetpus.libraries.without_libusb, "edgetpu.libusb-missing"),
    ):
        assert list(found(tmp_path, Area.EDGETPU, f"runtime.edgetpu_library = '{library}'")) == [name]
    assert found(tmp_path, Area.EDGETPU, "runtime.delegate = 'cpu'") == {}


def test_a_compiled_model_is_measured_on_its_edge_tpu(tmp_path, edgetpus):
    image, scores = Form((1, 4, 4, 3), "uint8", 1 / 128, 128), Form((1, 48), "uint8", 1 / 256, 0)
    compiled = edgetpu(image, scores)
    edgetpus.pair(compiled, classifier(image, scores))
    model = tmp_path / "m.tflite"
    model.write_bytes(compiled)
    section = f"runtime.edgetpu_library = '{edgetpus.library}'"
    edgetpus.plug()
    assert found(tmp_path, Area.SPEED, section, model)["speed"].facts["delegate"] == "edgetpu"
    edgetpus.set()
    assert list(found(tmp_path, Area.SPEED, section, model)) == ["speed.edgetpu"]
    edgetpus.plug(fault="prepare")
    assert list(found(tmp_path, Area.SPEED, section, model)) == ["speed.edgetpu-crashed"]


def test_a_model_is_measured(tmp_path):
    finding = found(tmp_path, Area.SPEED, model=models.shared(models.TINY))["speed"]
    assert finding.facts["delegate"] == "xnnpack"
    assert finding.facts["median_ms"] > 0


def test_an_examination_leaves_no_trace_on_the_disk(tmp_path):
    for area in (Area.AGENT, Area.DISK, Area.PERMISSIONS, Area.SPEED, Area.TRUST):
        found(tmp_path, area)
    assert [path.name for path in tmp_path.iterdir()] == ["agent.toml"]


@contextmanager
def barred(folder: Path) -> Iterator[None]:
    """As a user who may not enter the folder."""
    user = os.geteuid()
    folder.chmod(0)
    if user == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


def test_a_state_folder_that_may_not_be_entered_is_told_and_its_camera_and_edge_tpu_are_left_alone(tmp_path):
    state = tmp_path / "state"
    (state / "objects").mkdir(parents=True)
    (state / "trust/metadata").mkdir(parents=True)
    path = tmp_path / "agent.toml"
    path.write_text("camera.kind = 'v4l2'\n")
    examination = Examination(config.examine(path), None, None)
    areas = [Area.AGENT, Area.DISK, Area.PERMISSIONS, Area.SPEED, Area.CAMERA, Area.TRUST]
    with barred(state):
        names = [finding.name for finding in check.examine(examination, areas)]
    assert "agent.unknown" in names
    assert "permissions.state" in names
    assert "camera.in-use" in names
    assert "trust.missing" in names
    assert any(name.startswith("disk") for name in names)


def test_a_page_is_told_with_who_can_reach_it(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a wet shoal\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            "": "web",
            "web.listen = '127.0.0.1:0'": "web",
            f"web.listen = '127.0.0.1:{port}'": "web.not-to-be-had",
            f"web = {{ listen = '0.0.0.0:0', password_file = '{secret}' }}": "web.plain",
            f"web = {{ listen = '[::1]:0', proxy = '::1', password_file = '{secret}' }}": "web",
            f"web = {{ listen = '0.0.0.0:0', password_file = '{tmp_path / 'none'}' }}": "web.refused",
        }
        told = {section: list(found(tmp_path, Area.WEB, section)) for section in cases}
    assert told == {section: [name] for section, name in cases.items()}


def test_a_pages_password_that_others_may_read_is_told(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a wet shoal\n")
    secret.chmod(0o644)
    section = f"web = {{ listen = '0.0.0.0:0', password_file = '{secret}' }}"
    assert "permissions.world-readable" in found(tmp_path, Area.PERMISSIONS, section)
