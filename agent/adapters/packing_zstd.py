"""Zstandard. Imported when the first packed chunk comes: most days an agent pulls nothing."""

import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from agent.wire.errors import Malformed, StoreFailed

if TYPE_CHECKING:
    import zstandard


class Zstandard:
    """A `Packing`. May be used from several threads at once: each call has a decompressor of its own."""

    def unpack(self, packed: bytes, length: int) -> bytes:
        import zstandard  # noqa: PLC0415 - as the module says

        return _content(zstandard.ZstdDecompressor(), packed, length)

    def apply(self, base: Path, patch: Path, length: int) -> bytes:
        import zstandard  # noqa: PLC0415 - as the module says

        try:
            # The dictionary keeps a copy, so the base is read as pages that the kernel may drop again.
            with (
                base.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
                memoryview(mapped) as pages,
            ):
                dictionary = zstandard.ZstdCompressionDict(pages, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
            packed = patch.read_bytes()
        except OSError as error:
            raise StoreFailed(f"could not read {base} and its patch {patch}: {error.strerror}") from error
        return _content(zstandard.ZstdDecompressor(dict_data=dictionary), packed, length)


def _content(decompressor: "zstandard.ZstdDecompressor", packed: bytes, length: int) -> bytes:
    """The library trusts the length that the frame states, and `max_output_size` counts only where it states
    none: so that is looked at first.
    """
    import zstandard  # noqa: PLC0415 - as the module says

    try:
        stated = zstandard.frame_content_size(packed)
        if stated != length:
            raise Malformed(f"a packed piece states a length of {stated} bytes, and {length} are declared")
        return decompressor.decompress(packed, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Malformed(f"{len(packed)} packed bytes cannot be unpacked: {error}") from error
