"""Reads the tensors of a legacy ``torch.save`` file without torch.

The format is five pickles and then raw numbers: a magic number, a protocol version, facts about the
writer's machine, the object itself (tensors refer to storages by key), the list of storage keys, and
for each key a 64-bit count followed by that many little-endian elements.

A pickle may name any function of any module. This reader resolves only the five names a state dict of
plain tensors needs and refuses every other, so a hostile file can waste memory but can't run code.
"""

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
COUNT_BYTES = 8
MAX_RANK = 8


class CheckpointError(ValueError):
    """The file is not a checkpoint that this reader accepts."""


class StorageReference(NamedTuple):
    key: str
    dtype: np.dtype[Any]


class TensorReference(NamedTuple):
    """A view into a storage; offset and strides count elements, not bytes."""

    storage: StorageReference
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(path: Path) -> dict[str, Array]:
    """The named tensors of a state dict, each an array of its own.

    Raises:
        CheckpointError: not the legacy format, cut short, a tensor outside its storage, or a name that
            is not allowed.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return read_stream(file)


def read_stream(file: IO[bytes]) -> dict[str, Array]:
    """Same as `read_checkpoint`, from an open binary file at its beginning."""
    _check_header(file)
    tensors = _load(file)
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"checkpoint holds a {type(tensors).__name__}, not a state dict")
    keys = _load(file)
    storages = _read_storages(file, keys, _dtypes_by_key(tensors))
    return {str(name): _tensor(str(name), reference, storages) for name, reference in tensors.items()}


def _check_header(file: IO[bytes]) -> None:
    if _load(file) != MAGIC:
        raise CheckpointError("no legacy torch.save magic number; a zip checkpoint must be saved anew")
    version = _load(file)
    if version != PROTOCOL:
        raise CheckpointError(f"checkpoint protocol is {version!r}, expected {PROTOCOL}")
    _load(file)  # byte order and type sizes of the writer; the element types below are explicit


class _StateDictUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        allowed = _ALLOWED.get((module, name))
        if allowed is None:
            raise CheckpointError(f"checkpoint names {module}.{name}, which a state dict does not need")
        return allowed

    def persistent_load(self, pid: Any) -> StorageReference:
        kind, dtype, key, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise CheckpointError(f"persistent reference {kind!r} is not a storage of a known type")
        return StorageReference(str(key), dtype)


def _tensor_reference(
    storage: StorageReference, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> TensorReference:
    return TensorReference(storage, offset, shape, strides)


def _parameter(reference: TensorReference, *_: object) -> TensorReference:
    return reference


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor_reference,
    ("torch._utils", "_rebuild_parameter"): _parameter,
} | {("torch", name): dtype for name, dtype in DTYPES.items()}

_MALFORMED = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
)


def _load(file: IO[bytes]) -> Any:
    try:
        return _StateDictUnpickler(file).load()
    except CheckpointError:
        raise
    except _MALFORMED as error:
        raise CheckpointError(f"checkpoint pickle is malformed: {error}") from error


def _dtypes_by_key(tensors: Mapping[Any, Any]) -> dict[str, np.dtype[Any]]:
    for name, reference in tensors.items():
        if not isinstance(reference, TensorReference) or not isinstance(reference.storage, StorageReference):
            raise CheckpointError(f"{name!r} is not a tensor")
    return {reference.storage.key: reference.storage.dtype for reference in tensors.values()}


def _read_storages(file: IO[bytes], keys: Any, dtypes: Mapping[str, np.dtype[Any]]) -> dict[str, Array]:
    if not isinstance(keys, list) or set(map(str, keys)) != set(dtypes):
        raise CheckpointError("the list of storages is not the storages that the tensors use")
    return {str(key): _read_storage(file, str(key), dtypes[str(key)]) for key in keys}


def _read_storage(file: IO[bytes], key: str, dtype: np.dtype[Any]) -> Array:
    count = int.from_bytes(file.read(COUNT_BYTES), "little", signed=True)
    payload = file.read(max(0, count) * dtype.itemsize)
    if count < 0 or len(payload) != count * dtype.itemsize:
        raise CheckpointError(f"storage {key} declares {count} elements and holds {len(payload)} bytes")
    return np.frombuffer(payload, dtype)


def _tensor(name: str, reference: TensorReference, storages: Mapping[str, Array]) -> Array:
    storage = storages[reference.storage.key]
    _, offset, shape, strides = reference
    if not _fits(offset, shape, strides, storage.size):
        raise CheckpointError(f"{name} with shape {shape!r} reaches outside its storage of {storage.size}")
    if 0 in shape:
        return np.zeros(shape, storage.dtype)
    in_bytes = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, in_bytes).copy()


def _fits(offset: Any, shape: Any, strides: Any, size: int) -> bool:
    if not (isinstance(shape, tuple) and isinstance(strides, tuple)):
        return False
    if len(shape) != len(strides) or len(shape) > MAX_RANK:
        return False
    if not all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)):
        return False
    if 0 in shape:
        return True
    last: int = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    return last < size
