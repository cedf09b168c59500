"""Options anywhere among the other arguments: `invoke MODEL --signature NAME x=x.npy`."""

from collections.abc import Sequence
from typing import Any

from agent.core import usage


class Parser(usage.Parser):
    """Plain argparse gives a list of arguments all that stands before the first option, and no more."""

    _mixing = False

    def parse_known_args(  # type: ignore[override]  # one signature for its overloads
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        if self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False
