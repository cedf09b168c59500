"""Arrays in an .npz file, as numpy writes them."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deploy.core.refusal import Refused

_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    ValueError,
    EOFError,
    NotImplementedError,
    # A single array (.npy) under this name is no archive of them.
    AttributeError,
    TypeError,
)


@contextmanager
def opened(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays by name, each read when it is asked for; nothing else belongs into the block.

    Raises:
        Refused: the file cannot be read, is no such archive, or an array holds objects.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or 'it is damaged'}") from error
    except _UNREADABLE as error:
        raise Refused(f"{path} is no .npz file of plain arrays: {error}") from error
