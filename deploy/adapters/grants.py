"""Claim tokens, one file each, readable by their owner only."""

from pathlib import Path

import msgspec

from agent.wire.errors import ConfigError, StoreFailed
from deploy.adapters.secret_files import write_secret
from deploy.core.enrolment.claims import Grant


class Grants:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, grant: Grant) -> None:
        """
        Raises:
            StoreFailed: the disk refused.
        """
        write_secret(self._folder / f"{grant.name}.json", msgspec.json.encode(grant))

    def all(self) -> dict[str, Grant]:
        """By name.

        Raises:
            ConfigError: a file is none.
            StoreFailed: the disk refused.
        """
        return {path.stem: _read(path) for path in sorted(self._folder.glob("*.json"))}


def _read(path: Path) -> Grant:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Grant)
    except OSError as error:
        raise StoreFailed(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} is no claim token: {error}") from error
