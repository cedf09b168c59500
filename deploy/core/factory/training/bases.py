"""Networks to start from: what each was trained on, and where its weights come from."""

from enum import StrEnum
from typing import Final

from agent.wire.documents import Normalization

SIDE_PX: Final = 224


class Network(StrEnum):
    """Trained on the thousand classes of ImageNet."""

    EFFICIENTNET_LITE0 = "efficientnet_lite0"
    """Of the classifier in `models/`: the only one that needs no network."""
    MOBILENET = "mobilenet"
    MOBILENET_V2 = "mobilenet_v2"
    MOBILENET_V3_SMALL = "mobilenet_v3_small"
    MOBILENET_V3_LARGE = "mobilenet_v3_large"
    INCEPTION_V3 = "inception_v3"


SHIPPED_NORMALIZATION: Final = Normalization(mean=(127.0,), std=(128.0,))
USUAL_NORMALIZATION: Final = Normalization(mean=(127.5,), std=(127.5,))
"""Of the Keras applications above, in [-1, 1]; it is also what a device does where a file declares none."""
