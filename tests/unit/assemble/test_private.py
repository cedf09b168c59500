import asyncio
import sys
from pathlib import Path

import msgspec
import pytest

from agent.adapters import cage_linux, child_process
from agent.assemble.children import private
from agent.assemble.sharing import shared_cameras, start_worker
from agent.config import Broker, Camera, CameraKind, PipelineSettings, Settings, pipelines
from agent.config import Pipeline as PipelineSection

URL = "rtsp://me:hunter2@door/live"


def lines(camera: Camera) -> tuple[PipelineSettings, ...]:
    guest = PipelineSection(stream="b", camera=Camera(kind=CameraKind.SHARED, of="main"))
    return pipelines(Settings(camera=camera, pipeline={"b": guest}))


def test_no_child_has_the_cameras_password_on_its_command_line():
    camera = Camera(kind=CameraKind.RTSP, url=URL)
    owner, guest = lines(camera)
    sharing = shared_cameras((owner, guest))
    try:
        starts = [start_worker(owner, {}), start_worker(owner, sharing), start_worker(guest, sharing)]
        starts.append(sharing["main"].keeper._spawn)
        assert not [start for start in starts if "hunter2" in " ".join(start._argv)]
        told = ["hunter2" in "".join((start._environment or {}).values()) for start in starts]
        assert told == [True, False, False, True], "only who opens the camera is told its address"
    finally:
        sharing["main"].close()


def test_the_child_finds_address_and_what_is_hidden_and_leaves_them_to_nobody():
    camera = Camera(kind=CameraKind.RTSP, url=URL)
    environment = private.told((Path("/a"), Path("/b c")), camera)
    assert private.with_address(private.without_address(camera), environment) == camera
    assert private.hidden(environment) == (Path("/a"), Path("/b c"))
    assert environment == {}
    assert private.hidden({}) == ()


def test_configuration_password_key_and_credentials_are_secrets(tmp_path):
    broker = Broker(password_file="/p", key="/k")
    found = private.secrets(Settings(broker=broker), tmp_path / "agent.toml", {"CREDENTIALS_DIRECTORY": "/c"})
    assert set(map(str, found)) == {"/p", "/k", "/c", str(tmp_path / "agent.toml")}
    assert private.secrets(Settings(), tmp_path / "agent.toml", {}) == (tmp_path / "agent.toml",)


READS = """
import json, sys
from agent.assemble.children import child
from agent.wire import ipc
pipe = child.begin(ipc.to_canary)
try:
    said = open(sys.argv[1]).read()
except PermissionError:
    said = "refused"
pipe.send(ipc.ProveFailed(manifest="", reason="canary-crashed", detail=said))
"""


@pytest.mark.skipif(bool(cage_linux.available().files), reason=cage_linux.available().files)
def test_a_caged_child_reads_what_it_needs_and_no_secret(tmp_path):
    for name in ("secret", "model"):
        (tmp_path / name).write_text(name)

    async def read(name: str) -> str:
        child = await child_process.start(
            [sys.executable, "-c", READS, str(tmp_path / name)],
            msgspec.msgpack.Decoder(child_process.ProveFailed),
            name="reader",
            environment=private.told((tmp_path / "secret",)),
        )
        try:
            said = await child.receive()
            assert said is not None
            return said.detail
        finally:
            await child.close()

    assert asyncio.run(read("model")) == "model"
    assert asyncio.run(read("secret")) == "refused"
