"""The documents on the wire are those that fielded devices and operators read: vectors hold them still."""

import json

import pytest

from agent.wire import codec
from agent.wire.documents import Document, GoldenSet
from agent.wire.reasons import IN_WORDS, Reason
from tests.golden.documents import EXAMPLES, FOLDER

CHANGED = (
    "the wire form of {name} has changed, and devices in the field read and write the old one. Within a "
    "schema major a field may be added with a default; nothing may be renamed, removed or made stricter. "
    "If the change is such an addition, run `python -m tests.golden.documents` and read the difference"
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_document_is_written_as_its_vector_holds_it(name):
    vector, now = (FOLDER / name).read_bytes(), codec.encode(EXAMPLES[name])
    same = vector == now if name.endswith(".msgpack") else json.loads(vector) == json.loads(now)
    assert same, CHANGED.format(name=name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_vector_is_read_as_the_document_it_was(name):
    document = EXAMPLES[name]
    assert codec.decode((FOLDER / name).read_bytes(), type(document)) == document, CHANGED.format(name=name)


def test_every_kind_of_document_has_a_vector_and_a_size_limit():
    kinds = set(Document.__subclasses__())
    assert {type(document) for document in EXAMPLES.values()} == kinds
    assert set(codec.MAX_BYTES) == kinds
    on_disk = {path.name for path in FOLDER.iterdir() if path.suffix in {".json", ".msgpack"}}
    assert on_disk == {*EXAMPLES, "cohort.json"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_vector_sets_every_field(name):
    """A field at its default would not show if its name or form changed."""
    document = EXAMPLES[name]
    fields = set(type(document).__struct_fields__) - {"schema"}
    defaults = dict(
        zip(
            reversed(type(document).__struct_fields__),
            reversed(type(document).__struct_defaults__),
            strict=False,
        )
    )
    unset = {field for field in fields if field in defaults and getattr(document, field) == defaults[field]}
    assert unset == set()


def test_a_golden_set_carries_its_images_as_bytes():
    assert b"\x89PNG" in codec.encode(EXAMPLES["goldenset.msgpack"])
    assert isinstance(EXAMPLES["goldenset.msgpack"], GoldenSet)


def test_every_reason_has_words_for_people():
    assert set(IN_WORDS) == set(Reason)
    assert all(words.strip() and not words.endswith(".") for words in IN_WORDS.values())
    assert len(set(IN_WORDS.values())) == len(Reason)


def test_every_reason_is_a_code_for_machines():
    assert all(code == code.lower().strip("-") and " " not in code for code in Reason)
