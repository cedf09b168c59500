"""What the program brings along: a model to begin with, and photographs for where there is no camera."""

import sysconfig
from pathlib import Path
from typing import Final

from agent.wire.errors import ConfigError

MODEL: Final = Path("efficientnet_lite0", "efficientnet_lite0_224_uint8.tflite")
LABELS: Final = Path("efficientnet_lite0", "labels.txt")
PHOTOGRAPHS: Final = Path("photographs")


def folder() -> Path:
    """In a checkout, or in what a wheel installed.

    Raises:
        ConfigError: in neither.
    """
    places = (Path(__file__).parents[2] / "models", Path(sysconfig.get_path("data")) / "share/shoal/models")
    for place in places:
        if (place / MODEL).is_file():
            return place
    raise ConfigError(
        f"the shipped model is missing ({' and '.join(map(str, places))}): name one with --model, or install "
        "shoal again"
    )
