"""The checkpoint reader, on checkpoints written by hand in the legacy format."""

import collections
import io
import pickle
import struct
import sys
import types
from typing import Any

import numpy as np
import pytest

from deploy.recipes.torch_checkpoint import MAGIC, PROTOCOL, CheckpointError, read_checkpoint, read_stream

FLOATS = ("FloatStorage", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])


class Storage:
    def __init__(self, key: str, kind: str, count: int) -> None:
        self.key, self.kind, self.count = key, kind, count


class Tensor:
    """Pickles as a call of torch._utils._rebuild_tensor_v2."""

    def __init__(self, storage: Storage, offset: Any, shape: Any, strides: Any) -> None:
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        return ("storage", getattr(sys.modules["torch"], obj.kind), obj.key, "cpu", obj.count, None)


@pytest.fixture(autouse=True)
def stand_in_torch(monkeypatch):
    """Names for the pickler to refer to; the reader never imports them."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_arguments):
        raise AssertionError("the reader called torch")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def dumped(value: Any) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue()


def raw(kind: str, values: list[float]) -> bytes:
    dtype = "<i8" if kind == "LongStorage" else "<f4"
    return struct.pack("<q", len(values)) + np.array(values, dtype).tobytes()


def checkpoint(tensors: Any, storages: dict[str, tuple[str, list[float]]], *, magic: Any = MAGIC) -> bytes:
    header = dumped(magic) + dumped(PROTOCOL) + dumped({"little_endian": True})
    numbers = b"".join(raw(*storage) for storage in storages.values())
    return header + dumped(tensors) + dumped(list(storages)) + numbers


def read(data: bytes) -> dict[str, Any]:
    return read_stream(io.BytesIO(data))


def one(offset: Any = 0, shape: Any = (2, 3), strides: Any = (3, 1)) -> bytes:
    tensor = Tensor(Storage("7", "FloatStorage", 6), offset, shape, strides)
    return checkpoint(collections.OrderedDict(weight=tensor), {"7": FLOATS})


def test_a_tensor_comes_back_with_its_shape_and_values():
    weight = read(one())["weight"]
    assert weight.dtype == np.float32
    assert weight.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_offset_and_strides_select_the_view_that_was_saved():
    assert read(one(offset=1, shape=(2, 2), strides=(1, 3)))["weight"].tolist() == [[1, 4], [2, 5]]


def test_a_scalar_and_an_integer_storage_are_read():
    counter = Tensor(Storage("c", "LongStorage", 1), 0, (), ())
    batches = read(checkpoint({"batches": counter}, {"c": ("LongStorage", [41])}))["batches"]
    assert (batches.dtype, int(batches)) == (np.int64, 41)


def test_tensors_that_share_a_storage_become_independent_arrays():
    storage = Storage("7", "FloatStorage", 6)
    tensors = {"a": Tensor(storage, 0, (3,), (1,)), "b": Tensor(storage, 0, (3,), (1,))}
    arrays = read(checkpoint(tensors, {"7": FLOATS}))
    arrays["a"][0] = 9
    assert arrays["b"][0] == 0


def test_an_empty_tensor_needs_no_elements():
    assert read(one(shape=(0, 3), strides=(3, 1)))["weight"].shape == (0, 3)


def test_a_file_on_disk_reads_as_the_same_bytes_do(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(one())
    assert np.array_equal(read_checkpoint(path)["weight"], read(one())["weight"])


class TestHostileFiles:
    @pytest.mark.parametrize("place", ["header", "tensors", "keys"])
    def test_a_function_outside_the_list_is_refused_and_not_called(self, place):
        call = Call(exec, "raise SystemExit")
        files = {
            "header": checkpoint({}, {}, magic=call),
            "tensors": checkpoint({"weight": call}, {}),
            "keys": dumped(MAGIC) + dumped(PROTOCOL) + dumped({}) + dumped({}) + dumped(call),
        }
        with pytest.raises(CheckpointError, match=r"__builtin__\.exec"):
            read(files[place])

    def test_a_storage_type_outside_the_list_is_refused(self):
        half = Tensor(Storage("h", "HalfStorage", 1), 0, (1,), (1,))
        with pytest.raises(CheckpointError, match=r"torch\.HalfStorage"):
            read(checkpoint({"weight": half}, {"h": FLOATS}))

    @pytest.mark.parametrize(
        ("offset", "shape", "strides"),
        [
            (1, (2, 3), (3, 1)),
            (0, (7,), (1,)),
            (0, (2,), (6,)),
            (-1, (2,), (1,)),
            (0, (-2,), (1,)),
            (3, (3,), (-1,)),
            (0, (2**62, 2**62), (1, 1)),
            (0, (2, 3), (3,)),
            (0.0, (2,), (1,)),
            (0, [2], [1]),
            (0, (1,) * 9, (1,) * 9),
        ],
    )
    def test_a_view_outside_its_storage_is_refused(self, offset, shape, strides):
        with pytest.raises(CheckpointError, match="reaches outside"):
            read(one(offset, shape, strides))

    def test_a_state_dict_of_anything_but_tensors_is_refused(self):
        with pytest.raises(CheckpointError, match="'epoch' is not a tensor"):
            read(checkpoint({"epoch": 3}, {}))

    def test_an_object_that_is_no_state_dict_is_refused(self):
        with pytest.raises(CheckpointError, match="holds a list"):
            read(checkpoint([1, 2], {}))

    def test_storages_that_no_tensor_uses_are_refused(self):
        tensors = {"weight": Tensor(Storage("7", "FloatStorage", 6), 0, (6,), (1,))}
        with pytest.raises(CheckpointError, match="list of storages"):
            read(checkpoint(tensors, {"7": FLOATS, "8": FLOATS}))


def test_a_file_cut_short_anywhere_is_refused():
    data = one()
    for length in range(len(data)):
        with pytest.raises(CheckpointError):
            read(data[:length])


def test_a_negative_count_is_refused():
    data = one()
    numbers = raw(*FLOATS)
    with pytest.raises(CheckpointError, match="declares -1 elements"):
        read(data[: -len(numbers)] + struct.pack("<q", -1) + numbers[8:])


def test_a_zip_checkpoint_is_named_as_such():
    with pytest.raises(CheckpointError):
        read(b"PK\x03\x04" + bytes(64))


def test_another_protocol_is_refused():
    with pytest.raises(CheckpointError, match="protocol is 1002"):
        read(dumped(MAGIC) + dumped(1002))
