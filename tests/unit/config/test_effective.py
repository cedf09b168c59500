from agent import config
from agent.config import Effective, Origin
from agent.config.lines import key_lines

TEXT = """\
[device]
tags = [
  "a",

  # a remark
  "b",
]
[camera]
kind = "rtsp"
url = "rtsp://me:secret@door:554/live"

[pipeline.side]
stream = "s"
camera.kind = "shared"
camera.of = "main"
[pipeline.side.emission]
floor = 0.25
"""


def shown(tmp_path, text=TEXT):
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return {each.key: each for each in config.effective(config.examine(path))}


def test_every_setting_is_shown_with_the_line_it_comes_from(tmp_path):
    found = shown(tmp_path)
    assert found["device.tags"] == Effective(key="device.tags", value=("a", "b"), origin=Origin.FILE, line=2)
    assert found["camera.rate_fps"] == Effective(key="camera.rate_fps", value=10.0, origin=Origin.DEFAULT)
    assert found["broker.keepalive_s"].value == 30
    assert (found["pipeline.side.camera.of"].line, found["pipeline.side.emission.floor"].line) == (15, 17)
    assert found["pipeline.side.runtime"].origin is Origin.MAIN
    assert found["device.id"].origin is Origin.HOST


def test_no_password_is_shown(tmp_path):
    found = shown(tmp_path)
    assert found["camera.url"].value == "rtsp://***@door:554/live"
    assert "secret" not in str(found)


def test_no_setting_is_left_out(tmp_path):
    sections = [getattr(config.Settings(), name) for name in config.Settings.__struct_fields__]
    keys = sum(len(section.__struct_fields__) for section in sections if not isinstance(section, dict))
    assert len(shown(tmp_path, "")) == keys


def test_a_key_stands_where_its_statement_begins():
    text = 'a = """\n[b]\nc = 1\n"""\n[d] # e\nf.g = [\n1, # ]\n2]\nh = { i = 1 }'
    assert key_lines(text) == {
        ("a",): 1,
        ("d",): 5,
        ("d", "f"): 6,
        ("d", "f", "g"): 6,
        ("d", "h"): 9,
        ("d", "h", "i"): 9,
    }
