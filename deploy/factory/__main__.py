"""One order from standard input; what comes of it, a line each, on the descriptor that was named."""

import errno
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import msgspec

from agent.wire.errors import AgentError
from deploy.core.factory import extras
from deploy.core.factory.advice.words import Describe
from deploy.core.factory.conversion.words import Convert
from deploy.core.factory.evaluation.seen import Compare, Draw, Evaluate
from deploy.core.factory.orders import Order, Said
from deploy.core.factory.training.words import Optimize, Train
from deploy.core.factory.words import Refusal

_ORDERS: Final[Mapping[type, str]] = {
    Convert: "deploy.factory.conversion.convert",
    Describe: "deploy.factory.describe",
    Evaluate: "deploy.assemble.factory.desk_models",
    Compare: "deploy.assemble.factory.desk_layers",
    Draw: "deploy.factory.plots",
    Train: "deploy.factory.training.train",
    Optimize: "deploy.factory.training.optimize",
}
"""Where each kind is carried out, by `carry_out(order, tell) -> Answer`: loaded only for its order."""
_FULL: Final = "no space is left where temporary files go: free some, or name another folder in TMPDIR"


def main() -> int:
    with os.fdopen(int(sys.argv[1]), "wb", buffering=0) as telling:

        def tell(said: Said) -> None:
            telling.write(msgspec.json.encode(said) + b"\n")

        tell(_answer(msgspec.json.decode(sys.stdin.buffer.read(), type=Order), tell))
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of converters outlive their work, and some die in the interpreter's end.
    os._exit(0)


def _answer(order: Order, tell: Callable[[Said], None]) -> Said:
    try:
        carry_out: Any = import_module(_ORDERS[type(order)]).carry_out
        answer: Said = carry_out(order, tell)
    except AgentError as error:
        return Refusal(detail=str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return Refusal(detail=_FULL)
    except ModuleNotFoundError as error:
        remedy = extras.missing(error.name or "")
        if remedy is None:
            raise
        return Refusal(detail=remedy)
    return answer


if __name__ == "__main__":
    sys.exit(main())
