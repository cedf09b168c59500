from pathlib import Path

import pytest

from agent.wire.documents import Delegate
from agent.wire.topics import sha256
from deploy.core.refusal import Refused
from deploy.flows.fetch_model import Wanted, fetch_model
from deploy.ports.registry import RegisteredFile, RegisteredModel

DELEGATES = {"a.tflite": Delegate.CPU, "b.tflite": Delegate.EDGETPU}


class MemoryRegistry:
    def __init__(self, contents):
        self._contents = contents

    def models(self):
        files = tuple(
            RegisteredFile(name, f"http://x/{name}", None, sha256(content), len(content), DELEGATES.get(name))
            for name, content in self._contents.items()
        )
        return (RegisteredModel("birds", "about birds", "Apache-2.0", files),)

    def fetch(self, file, folder, timeout_s, on_bytes):
        assert timeout_s > 0
        on_bytes(file.length, file.length)
        folder.joinpath(file.name).write_bytes(self._contents[file.name])
        return folder / file.name


def test_all_files_of_a_model_are_fetched_in_order(tmp_path):
    seen = []
    registry = MemoryRegistry({"b.tflite": b"bb", "a.tflite": b"a"})
    paths = fetch_model(registry, "birds", Wanted(tmp_path, 1.0), lambda *said: seen.append(said))
    assert paths == (tmp_path / "b.tflite", tmp_path / "a.tflite")
    assert seen == [(2, 2), (1, 1)]


def test_one_may_want_the_files_for_one_delegate_only(tmp_path):
    registry = MemoryRegistry({"b.tflite": b"bb", "a.tflite": b"a", "labels.txt": b"l"})
    paths = fetch_model(registry, "birds", Wanted(tmp_path, 1.0, Delegate.CPU), lambda *_: None)
    assert paths == (tmp_path / "a.tflite", tmp_path / "labels.txt")


def test_an_unknown_model_is_refused_with_the_nearest_name():
    with pytest.raises(Refused, match="did you mean 'birds'"):
        fetch_model(MemoryRegistry({}), "brids", Wanted(Path(), 1.0), lambda *_: None)
