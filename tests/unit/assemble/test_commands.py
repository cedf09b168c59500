import pytest
from msgspec.structs import replace

from agent.assemble.commands import FINDINGS_MAX, found, secrets
from agent.config import Broker, Camera, CameraKind, Pipeline, Settings, Web
from agent.wire.commands import Checked, Finding
from agent.wire.errors import Unavailable


def test_findings_are_read_whatever_stands_beside_them():
    said = (
        b'{"version": 1, "settings": [], "findings": [{"name": "clock", "severity": "ok", '
        b'"cause": "it is right", "remedy": "", "facts": {"a": 1}}]}'
    )
    assert found(said, 78) == Checked(
        status=78, findings=(Finding(name="clock", severity="ok", cause="it is right"),)
    )


def test_more_findings_than_an_answer_holds_are_cut():
    one = b'{"name": "x", "severity": "ok"}'
    said = b'{"findings": [' + b",".join([one] * (FINDINGS_MAX + 5)) + b"]}"
    assert len(found(said, 0).findings) == FINDINGS_MAX


@pytest.mark.parametrize("said", [b"", b"Traceback", b"[]", b'{"findings": [{"name": 1}]}', b"\xff"])
def test_anything_else_is_no_check(said):
    with pytest.raises(Unavailable, match="status 1 and without findings"):
        found(said, 1)


def test_the_secrets_of_the_configuration_are_known(tmp_path):
    (tmp_path / "password").write_text("hunter2\n")
    (tmp_path / "page").write_text("wet shoal\nfor the page of the hen house\n")
    camera = Camera(kind=CameraKind.RTSP, url="rtsp://cam:p%40ss@10.0.0.9/live")
    settings = Settings(
        broker=Broker(password_file=str(tmp_path / "password")),
        web=Web(password_file=str(tmp_path / "page")),
        camera=camera,
        pipeline={"door": Pipeline(stream="s", camera=replace(camera, url="rtsp://cam:other@[bad"))},
    )
    assert {"hunter2", "wet shoal", "p%40ss", "p@ss"} <= set(secrets(settings))


def test_a_password_file_that_cannot_be_read_holds_no_secret_of_ours(tmp_path):
    settings = Settings(broker=Broker(password_file=str(tmp_path / "gone")))
    assert "".join(secrets(settings)) == ""
