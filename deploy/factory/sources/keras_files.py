"""Files of Keras models, before any Keras is loaded."""

import json
import zipfile
from pathlib import Path
from typing import Final

import h5py

from deploy.core.refusal import Refused
from deploy.factory.faults import one_line

NEWER: Final = "keras"
OLDER: Final = "tf_keras"


def written_by(path: Path) -> str:
    """Which of the two wrote it, as it says itself; the newer one where it does not.

    Raises:
        Refused: it is no whole Keras model.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                said = json.loads(archive.read("metadata.json"))["keras_version"]
        elif h5py.is_hdf5(path):
            said = _hdf5_version(path)
        else:
            raise Refused(
                f"{path} is neither a .keras archive nor an HDF5 file: is it damaged, or another kind?"
            )
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise Refused(f"{path} cannot be read as a Keras model: {one_line(error)}") from error
    return OLDER if str(said).startswith("2.") else NEWER


def _hdf5_version(path: Path) -> str:
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise Refused(
                f"{path} holds weights and no model: save the whole model (model.save), or build it and load "
                "them in a function, as module:function"
            )
        said = file.attrs.get("keras_version", "")
        return said.decode() if isinstance(said, bytes) else str(said)
