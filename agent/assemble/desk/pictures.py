"""Pictures from files, as classification and teaching take them."""

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.core.camera.frames import Pixels


def read(path: str) -> "Pixels | str":
    """The picture, upright as its camera meant it, red first; or why it cannot be read."""
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    except UnidentifiedImageError:
        return "not a picture of a known format"
    except OSError as error:
        return error.strerror or str(error)
    except (ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        return f"damaged: {error}"
