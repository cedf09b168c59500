"""Options that say how a picture becomes a model's input."""

import argparse
import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from agent.wire.documents import Fit, Normalization
from deploy.cli import command
from deploy.core.factory.words import Look
from deploy.core.refusal import Refused


def add(parser: ArgumentParser, *, undeclared: str = "127.5") -> None:
    """--fit, --mean and --std, in a group of their own."""
    add_to(parser.add_argument_group("how a picture becomes its input"), undeclared=undeclared)


def add_to(group: "argparse._ArgumentGroup", *, undeclared: str) -> None:
    """
    Args:
        group: of other options that belong to these.
        undeclared: what is taken where neither --mean nor --std is given.
    """
    group.add_argument(
        "--fit",
        choices=command.names(Fit),
        default=Fit.CENTRE_CROP.value,
        metavar="{centre-crop,squash,letterbox}",
        help="how a picture is brought to the model's size (default: centre-crop)",
    )
    group.add_argument(
        "--mean",
        type=numbers,
        metavar="M[,M,M]",
        help=f"subtracted from a colour byte (default: {undeclared})",
    )
    group.add_argument(
        "--std", type=numbers, metavar="S[,S,S]", help=f"divides the difference (default: {undeclared})"
    )


def numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a number, nor three separated by commas") from error
    if not all(map(math.isfinite, found)):
        raise ArgumentTypeError(f"{text!r} is not finite")
    return found


def look(options: Namespace) -> Look:
    """
    Raises:
        Refused: see `normalization`.
    """
    return Look(fit=Fit(options.fit), normalization=normalization(options.mean, options.std))


def normalization(mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> Normalization | None:
    """
    Raises:
        Refused: only one of them, or not as many of each.
    """
    if mean is None and std is None:
        return None
    if mean is None or std is None or len(mean) != len(std) or not all(value > 0 for value in std):
        raise Refused("--mean and --std belong together: as many numbers each, and no std of zero or less")
    return Normalization(mean=mean, std=std)
