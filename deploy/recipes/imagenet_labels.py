"""Turns the ImageNet synonym list into names a person reads in a table."""

from collections.abc import Sequence

CLASSES = 1000

# Line number in that list (background is 0), where the first synonym alone names two things.
TOLD_APART = {
    135: "crane (bird)",
    265: "Cardigan (dog)",
    475: "cardigan (garment)",
    518: "crane (machine)",
    639: "maillot",
    640: "maillot (tank suit)",
}


def short_labels(synonyms: Sequence[str]) -> list[str]:
    """One distinct name for each of the 1,000 classes, without the background.

    Args:
        synonyms: the 1,001 lines of the list, index 0 the background, each a comma-separated set of synonyms.

    Raises:
        ValueError: not that list, or two classes would read the same.
    """
    if len(synonyms) != CLASSES + 1 or synonyms[0].strip() != "background":
        raise ValueError(f"expected background and {CLASSES} classes, got {len(synonyms)} lines")
    labels = [TOLD_APART.get(index, _first(line)) for index, line in enumerate(synonyms)][1:]
    folded = [label.casefold() for label in labels]
    shared = sorted({label for label in folded if folded.count(label) > 1})
    if shared:
        raise ValueError(f"classes share the names {shared}: add them to TOLD_APART")
    return labels


def _first(line: str) -> str:
    return line.split(",", maxsplit=1)[0].strip()
