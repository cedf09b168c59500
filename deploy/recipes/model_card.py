"""The machine-readable half of a model card: ``model.toml``."""

import json
from collections.abc import Mapping

Value = str | int | float | bool | list[int]
Table = Mapping[str, Value]


def toml_document(root: Table, tables: Mapping[str, Table]) -> str:
    """A TOML document of plain values, keys in the given order; a table's dotted name nests it."""
    parts = [_assignments(root)]
    parts += [f"[{name}]\n{_assignments(table)}" for name, table in tables.items()]
    return "\n".join(parts)


def _assignments(table: Table) -> str:
    # JSON writes strings, numbers, booleans and flat lists as TOML does.
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
