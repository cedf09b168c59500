"""Text on its way to and from a terminal."""

import argparse

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text with control characters replaced: a model file must not steer the terminal."""
    return "".join(letter if letter.isprintable() else REPLACEMENT for letter in text)


def path(text: str) -> str:
    """A file name from the command line.

    Raises:
        argparse.ArgumentTypeError: it is not UTF-8.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise argparse.ArgumentTypeError(f"the file name {text!a} is not UTF-8: rename the file")
    return text
