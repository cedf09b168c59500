"""Options that say how a picture becomes a model's input."""

from argparse import ArgumentParser, ArgumentTypeError

from agent.wire.documents import Fit, Normalization
from deploy.cli import command
from deploy.core.refusal import Refused


def add(parser: ArgumentParser) -> None:
    """--fit, --mean and --std."""
    group = parser.add_argument_group("how a picture becomes its input")
    group.add_argument(
        "--fit", choices=command.names(Fit), default=Fit.CENTRE_CROP.value, help="(default: centre-crop)"
    )
    group.add_argument(
        "--mean", type=numbers, metavar="M[,M,M]", help="subtracted from a colour byte (default: 127.5)"
    )
    group.add_argument(
        "--std", type=numbers, metavar="S[,S,S]", help="by which the difference is divided (default: 127.5)"
    )


def numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a number, nor three separated by commas") from error


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
