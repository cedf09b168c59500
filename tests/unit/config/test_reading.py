from pathlib import Path

import pytest

from agent import config
from agent.wire.errors import ConfigError

NO_CAMERA = "camera.kind = 'pattern'\n"
SIDE = '[pipeline.side]\nstream = "s"\n'


def written(folder, text):
    path = folder / "agent.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[brokr]", "line 1: unknown key 'brokr'; did you mean 'broker'?"),
        ("\n[camera]\nrate = 5", "line 3: unknown key 'rate' in [camera]; did you mean 'rate_fps'?"),
        (
            f'{SIDE}[pipeline.side.camera]\nkid = "pattern"',
            "line 4: unknown key 'kid' in [pipeline.side.camera]; did you mean 'kind'?",
        ),
        (
            f'{SIDE}camera.kind = "pattern"\nruntime = {{ thread = 2 }}',
            "line 4: unknown key 'thread' in [pipeline.side.runtime]; did you mean 'threads'?",
        ),
        (SIDE, "line 1: [pipeline.side] lacks the key 'camera', which has no default"),
        ('[pipeline."a b"]', "line 1: the name 'a b': use 1 to 64 letters, digits, dots, dashes"),
        ("camera = 5", "line 1: camera is 5: a section [camera] is needed"),
        ("[broker]\nkeepalive_s = 2", "line 2: broker.keepalive_s is 2: use a whole number from 5 to 3600"),
        ("[camera]\nrate_fps = 5000", "line 2: camera.rate_fps is 5000: use a number from 0 to 1000"),
        ("[camera]\nrate_fps = nan", "line 2: camera.rate_fps is nan: use a number from 0 to 1000"),
        ("[update]\nrecheck_s = inf", "line 2: update.recheck_s is inf: use a number from 1 to 604800"),
        ("[trust]\ntimeout_s = 0", "line 2: trust.timeout_s is 0: use a number above 0 and up to 3600"),
        (
            "[telemetry]\nwindow_s = 1e300",
            "line 2: telemetry.window_s is 1e+300: use a number from 1 to 3600",
        ),
        ("[device]\nstate_dir = ''", "line 2: device.state_dir is '': use text in quotes, and not empty"),
        ('[device]\nstate_dir = "a\\u0000"', "line 2: device.state_dir is 'a\\x00': leave out the control"),
        (
            '[device]\ntags = ["a\\u001b"]',
            "line 2: device.tags is ['a\\x1b']: leave out the control character",
        ),
        ("[device]\nstate_dir = 1979-05-27", "line 2: device.state_dir is 1979-05-27: use text in quotes"),
        ("camera = true", "line 1: camera is true: a section [camera] is needed"),
        ("[camera]\nrotate_deg = 45", "line 2: camera.rotate_deg is 45: use one of 0, 90, 180, 270"),
        ("[camera]\nfresh = 1", "line 2: camera.fresh is 1: use true or false"),
        ("[log]\nverbose = 'yes'", "line 2: log.verbose is 'yes': use true or false"),
        ("[camera]\nkind = 'usb'", "line 2: camera.kind is 'usb': use one of auto, picamera2, v4l2, file"),
        ("[device]\ntags = 'a'", "line 2: device.tags is 'a': use a list, each of it text in quotes"),
        ("[runtime]\nedgetpu_device = 'x'", "line 2: runtime.edgetpu_device is 'x': use usb, pci, usb:1"),
        ("[device]\nid = 'a b'", "line 2: device id 'a b': use 1 to 64 letters"),
        ("[broker", "is not TOML: Expected ']'"),
        (f"a = {'[' * 5000}", "is nested too deeply"),
        (f"a = {'9' * 5000}", "holds a number with too many digits"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_line_and_its_limit(tmp_path, text, said):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        config.read(path)
    assert f"configuration {path} {said}" in str(refused.value)


def test_a_home_that_is_not_there_is_named(tmp_path):
    path = written(tmp_path, "trust.root = '~nobody-of-this-name/r'")
    with pytest.raises(ConfigError, match="path '~nobody-of-this-name/r': there is no such home here"):
        config.read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[broker]\nurl = 'mqtt://a:b@c'", "line 2: broker.url: the broker's URL holds a password"),
        ("[broker]\nurl = 'http://c'", "line 2: broker.url: broker 'http://c': begin with mqtt://"),
        ("[broker]\nroot = 'a//b'", "line 2: broker.root: topic root 'a//b'"),
        ("[broker]\nca = 'x'", "line 2: broker.ca is given and broker.url 'mqtt://127.0.0.1:1883' is not"),
        ("[broker]\nurl = 'mqtts://c'\nkey = 'x'", "line 3: broker.key is given without broker.certificate"),
        (
            "[broker]\nurl = 'mqtt://a@c'\nusername = 'b'",
            "line 3: broker.username is 'b' and broker.url names",
        ),
        ("[broker]\npassword_file = 'x'", "line 2: broker.password_file is given without broker.username"),
        ("[homeassistant]\nframe_every_s = 0.5", "line 2: homeassistant.frame_every_s is 0.5: at most one"),
        (
            "[device]\nid = 'pi.7'\n[homeassistant]\nenabled = true",
            "homeassistant.object_id is empty, and device.id 'pi.7' has a dot",
        ),
        ("[thermal]\nstep_up_below_c = 80", "line 2: thermal.step_up_below_c is 80 and step_down_at_c is 80"),
        ("[camera]\nkind = 'replay'", "line 2: camera.kind is 'replay' without camera.folder"),
        ("[camera]\nkind = 'file'", "line 2: camera.kind is 'file' without camera.file"),
        ("[camera]\nkind = 'rtsp'", "line 2: camera.kind is 'rtsp' without camera.url"),
        ("[camera]\nkind = 'shared'", "line 2: camera.kind is 'shared' without camera.of"),
        (
            "[camera]\nkind = 'rtsp'\nurl = 'http://u:pw@h'",
            "line 3: camera.url is 'http://***@h': begin with",
        ),
        ("[camera]\nkind = 'picamera2'\ndevice = '/dev/video0'", "picamera2 counts its cameras from 0"),
        ("[camera]\nkind = 'shared'\nof = 'roof'", "line 3: pipeline 'main' shares the camera of 'roof'"),
        (
            "[pipeline.main]\nstream='s'\ncamera.kind='auto'",
            "line 1: [pipeline.main] belongs to the sections",
        ),
        (
            f"{SIDE}camera.kind = 'v4l2'",
            "line 3: the camera of pipeline 'main' is 'auto' and may be the one of",
        ),
        (
            f"camera.kind = 'v4l2'\n{SIDE}camera = {{ kind = 'v4l2', device = '/dev/video0' }}",
            "line 4: pipelines 'main' and 'side' open the same v4l2 camera",
        ),
        (
            f"{NO_CAMERA}runtime.edgetpu_device = 'usb:0'\n{SIDE}{NO_CAMERA}runtime.edgetpu_device = 'usb'",
            "line 6: pipelines 'main' and 'side' want the same Edge TPU, the one usb:0",
        ),
        (
            f"camera.kind = 'pattern'\nruntime.delegate = 'edgetpu'\n{SIDE}camera.kind = 'pattern'",
            "pipelines 'main' and 'side' want the same Edge TPU, the one that comes first",
        ),
        (
            "[emission]\nmode = 'change'\nat_most_per_s = 0.01",
            "emission.heartbeat_s is 60 and emission.at_most_per_s is 0.01, one in 100 s",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_one_sentence(tmp_path, text, said):
    with pytest.raises(ConfigError) as refused:
        config.read(written(tmp_path, text))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        f"camera.kind = 'pattern'\n{SIDE}camera.kind = 'pattern'",
        f"{SIDE}camera = {{ kind = 'shared', of = 'main' }}",
        f"{SIDE}camera.kind = 'replay'\ncamera.folder = 'p'",
        f"camera.kind = 'picamera2'\n{SIDE}camera.kind = 'v4l2'",
        f"camera.kind = 'picamera2'\n{SIDE}camera = {{ kind = 'picamera2', device = '1' }}",
        f"{NO_CAMERA}runtime.edgetpu_device = 'usb:0'\n{SIDE}{NO_CAMERA}runtime.delegate = 'cpu'",
        "[thermal]\nstep_down_at_c = 0",
        "[emission]\nat_most_per_s = 0.01",
        "\N{ZERO WIDTH NO-BREAK SPACE}[device]\r\nid = 'a'\r\n",
        "",
    ],
)
def test_settings_that_go_together_are_accepted(tmp_path, text):
    path = written(tmp_path, text)
    assert config.read(path).device.state_dir == str(tmp_path / "state")


def test_a_pipeline_takes_the_sections_of_the_device_but_not_its_camera(tmp_path):
    text = (
        f"camera.kind = 'picamera2'\nemission.floor = 0.5\n{SIDE}camera.kind = 'pattern'\nruntime.threads = 3"
    )
    main, side = config.pipelines(config.read(written(tmp_path, text)))
    assert (main.name, side.name, side.stream) == ("main", "side", "s")
    assert side.emission == main.emission
    assert (main.runtime.threads, side.runtime.threads) == (0, 3)
    assert side.camera == config.Camera(kind=config.CameraKind.PATTERN)


@pytest.mark.parametrize(
    ("text", "credential", "origin"),
    [
        ("[broker]\nusername = 'u'", True, config.Origin.CREDENTIAL),
        ("[broker]\nurl = 'mqtt://u@h'", True, config.Origin.CREDENTIAL),
        ("[broker]\nusername = 'u'\npassword_file = 'own'", True, config.Origin.FILE),
        ("[broker]\nusername = 'u'", False, config.Origin.DEFAULT),
        ("", True, config.Origin.DEFAULT),
    ],
)
def test_the_service_managers_password_serves_a_user_without_a_file(tmp_path, text, credential, origin):
    folder = tmp_path / "credentials"
    folder.mkdir()
    if credential:
        (folder / "mqtt_password").write_text("secret")
    found = config.examine(written(tmp_path, text), {"CREDENTIALS_DIRECTORY": str(folder)})
    [shown] = [each for each in config.effective(found) if each.key == "broker.password_file"]
    assert shown.origin is origin
    expected = {
        config.Origin.CREDENTIAL: str(folder / "mqtt_password"),
        config.Origin.FILE: str(tmp_path / "own"),
        config.Origin.DEFAULT: "",
    }
    assert shown.value == found.settings.broker.password_file == expected[origin]


def test_without_a_name_the_installed_services_file_is_read(tmp_path, monkeypatch):
    installed = tmp_path / "agent.toml"
    monkeypatch.setattr("agent.config.reading.DEFAULT_PATH", installed)
    with pytest.raises(ConfigError, match=r"no configuration: .* does not exist; name a file with --config"):
        config.find(None)
    installed.touch()
    assert config.find(None) == installed
    assert config.find(tmp_path / "other.toml") == tmp_path / "other.toml"


def test_a_file_without_end_is_refused_before_it_fills_the_memory():
    with pytest.raises(ConfigError, match="configuration /dev/zero is longer than 1048576 bytes"):
        config.read(Path("/dev/zero"))


def test_a_file_written_on_windows_is_read(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_bytes(b"\xef\xbb\xbf[camera]\r\nkind = 'pattern'\r\nrate_fps = 2.0\r\n")
    assert config.read(path).camera.rate_fps == 2.0
