"""Drawn pictures of three kinds, a folder each: what a classifier learns from a dozen of them."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

KINDS = ("bars", "discs", "rings")


def make(folder: Path, count: int, seed: int = 0) -> Path:
    """So many of each kind, of several sizes, colours and places."""
    random = np.random.default_rng(seed)
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            _drawn(kind, random).save(folder / kind / f"{number:03}.png")
    return folder


def _drawn(kind: str, random: np.random.Generator) -> Image.Image:
    width, height = (int(side) for side in random.integers(120, 260, 2))
    dark, light = (tuple(int(c) for c in random.integers(*span, 3)) for span in ((0, 90), (160, 256)))
    image = Image.new("RGB", (width, height), dark)
    draw = ImageDraw.Draw(image)
    radius = int(min(width, height) * random.uniform(0.25, 0.4))
    x, y = width // 2, height // 2
    box = (x - radius, y - radius, x + radius, y + radius)
    match kind:
        case "bars":
            for left in range(0, width, radius // 2):
                draw.rectangle((left, 0, left + radius // 5, height), light)
        case "discs":
            draw.ellipse(box, light)
        case _:
            draw.ellipse(box, outline=light, width=max(3, radius // 6))
    noisy = np.asarray(image, np.int16) + random.integers(-12, 13, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
