"""What the signed timestamp says of the ledger."""

from deploy.adapters.ledger_sqlite import SqliteLedger
from deploy.adapters.repository_tuf import TufRepository
from deploy.core import noted
from deploy.core.noted import Head


def newest(ledger: SqliteLedger, repository: TufRepository) -> Head | None:
    """What the next timestamp is to say. None: what the last one says, for these lines are not its lines, and
    that is to be seen until a person has looked into it.

    Raises:
        StoreFailed: the ledger cannot be read.
    """
    before = repository.noted()
    written = ledger.written(0 if before is None else before.number - 1)
    if not written or noted.lost(before, written):
        return None
    return Head(written[-1].number, written[-1].chain)


def lost(ledger: SqliteLedger, repository: TufRepository) -> str:
    """In words, what became of the lines that were there when a timestamp was signed last; empty: nothing.

    Raises:
        StoreFailed: the ledger cannot be read.
    """
    before = repository.noted()
    return "" if before is None else noted.lost(before, ledger.written(before.number - 1))
