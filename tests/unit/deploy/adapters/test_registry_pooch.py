import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.wire.errors import ConfigError, Malformed, Unavailable
from agent.wire.topics import sha256
from deploy.adapters.registry_pooch import PoochRegistry, models_folder
from deploy.ports.registry import RegisteredFile

CONTENT = bytes(range(256)) * 1024
DIGEST, LENGTH = sha256(CONTENT), len(CONTENT)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/slow":
            self.server.released.wait(5)
        self.wfile.write(CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.released = threading.Event()
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.released.set()
        server.shutdown()
        thread.join()


def registered(url, digest=DIGEST, length=LENGTH):
    return RegisteredFile("m.tflite", url, None, digest, length)


def fetch(file, folder, timeout_s=5.0):
    seen = []
    path = PoochRegistry(folder).fetch(file, folder, timeout_s, lambda *said: seen.append(said))
    return path, seen


def test_a_file_arrives_whole_with_its_progress(address, tmp_path):
    path, seen = fetch(registered(f"{address}/m"), tmp_path / "new")
    assert (path, path.read_bytes()) == (tmp_path / "new" / "m.tflite", CONTENT)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_a_file_that_is_there_already_is_not_fetched_again(tmp_path):
    (tmp_path / "m.tflite").write_bytes(CONTENT)
    assert fetch(registered("http://127.0.0.1:9/closed"), tmp_path) == (tmp_path / "m.tflite", [])


@pytest.mark.parametrize(
    ("path", "changed", "error", "said"),
    [
        ("/m", {"digest": sha256(b"other")}, Malformed, "is not the file that is registered"),
        ("/m", {"length": 7}, Malformed, "more than the 7 bytes"),
        ("/missing", {}, Unavailable, "404 Client Error.*by hand into .*, sha256 "),
    ],
)
def test_what_is_not_the_file_leaves_nothing_behind(address, tmp_path, path, changed, error, said):
    with pytest.raises(error, match=said):
        fetch(registered(f"{address}{path}", **changed), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_given_up_in_time(address, tmp_path):
    began = time.monotonic()
    with pytest.raises(Unavailable, match="cannot be fetched now"):
        fetch(registered(f"{address}/slow"), tmp_path, timeout_s=0.3)
    assert time.monotonic() - began < 2


def test_nobody_listening_is_said_in_a_few_words(tmp_path):
    with pytest.raises(Unavailable, match=r"cannot be fetched now \(Connection refused\)"):
        fetch(registered("http://127.0.0.1:9/m"), tmp_path)


def test_the_registry_of_this_checkout_lists_the_shipped_model_first():
    first, *others = PoochRegistry(models_folder()).models()
    assert (first.name, first.shipped, [file.name for file in first.files]) == (
        "efficientnet_lite0",
        True,
        ["efficientnet_lite0_224_uint8.tflite", "labels.txt"],
    )
    assert others
    assert not any(model.shipped for model in others)


def test_the_shipped_model_is_copied_and_checked(tmp_path):
    registry = PoochRegistry(models_folder())
    model, labels = registry.models()[0].files
    assert registry.fetch(model, tmp_path, 1.0, lambda *_: None).stat().st_size == model.length
    damaged = RegisteredFile(labels.name, None, labels.path, sha256(b""), labels.length)
    with pytest.raises(Malformed, match="install shoal again"):
        registry.fetch(damaged, tmp_path, 1.0, lambda *_: None)


@pytest.mark.parametrize("text", ["[x", '[m]\ntitle = "t"\n'])
def test_a_damaged_registry_is_named(tmp_path, text):
    Path(tmp_path / "registry.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"registry\.toml"):
        PoochRegistry(tmp_path).models()
