"""The figures of a release in one line, for whoever decides about it."""

from collections.abc import Mapping
from typing import Final

_NAMED: Final = (("top1", "top-1"), ("top5", "top-5"), ("agreement", "agrees with its reference on"))


def in_words(figures: Mapping[str, float]) -> str:
    """Such as `top-1 87.3 % (85.1 to 89.3), top-5 97.0 %, on 1,000 pictures`; empty where nothing is known.

    Args:
        figures: of a manifest; whoever wrote it may have left out any, or said others.
    """
    parts = [part for name, words in _NAMED for part in _share(figures, name, words)]
    pictures = figures.get("pictures")
    if not parts or pictures is None:
        return ", ".join(parts)
    return f"{', '.join(parts)}, on {pictures:,.0f} pictures"


def _share(figures: Mapping[str, float], name: str, words: str) -> list[str]:
    share, low, high = (figures.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    if share is None:
        return []
    interval = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return [f"{words} {100 * share:.1f} %{interval}"]
