import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.tflite import flatedit, flatmodel, flatzip, probe_model
from agent.core.tflite.flatbuffer import root
from agent.core.tflite.flatbuild import Kind, Number, Table, Tables, build, numbers, text
from agent.wire.errors import Malformed
from tests.models import TINY_INT8, shared

NAMES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=12)
ENTRIES = st.dictionaries(NAMES, st.binary(max_size=80), max_size=5)


@given(ENTRIES)
def test_what_is_added_is_read_back_and_nothing_else_changes(added):
    model = probe_model.content()
    edited = flatedit.with_entries(model, added)
    assert flatedit.entries(edited) == {**flatedit.entries(model), **added}
    assert edited.endswith(model)


@given(ENTRIES, ENTRIES)
def test_the_same_entries_make_the_same_bytes_in_whatever_order_they_came(first, second):
    model = probe_model.content()
    at_once = flatedit.with_entries(model, {**first, **second})
    one_by_one = flatedit.with_entries(flatedit.with_entries(model, first), second)
    again = flatedit.with_entries(flatedit.with_entries(one_by_one, second), {})
    assert at_once == one_by_one == again


def test_an_entry_takes_the_place_of_one_that_the_converter_wrote():
    model = shared(TINY_INT8).read_bytes()
    edited = flatedit.with_entries(model, {"min_runtime_version": b"9.9.9\0"})
    assert flatmodel.examine(edited).minimum_runtime == "9.9.9"
    assert flatmodel.examine(edited).metadata.count("min_runtime_version") == 1


def test_constants_stay_aligned_as_they_were_and_new_ones_are():
    model = shared(TINY_INT8).read_bytes()
    edited = flatedit.with_entries(model, {"a": b"1", "b": bytes(33)})
    moved = len(edited) - len(model)
    (first, _), (second, _), *kept = flatmodel.buffers(edited)
    assert moved % 16 == first % 16 == second % 16 == 0
    assert kept == [(start + moved, length) for start, length in flatmodel.buffers(model)]


def test_a_file_that_another_program_changed_since_is_edited_as_it_is():
    edited = flatedit.with_entries(probe_model.content(), {"a": b"1", "b": b"2"})
    swapped = edited.replace(b"a\0", b"_\0").replace(b"b\0", b"a\0").replace(b"_\0", b"b\0")
    again = flatedit.with_entries(swapped, {"c": b"3"})
    assert {"a": b"2", "b": b"1", "c": b"3"}.items() <= flatedit.entries(again).items()
    assert again.endswith(swapped)


def test_a_note_that_points_nowhere_is_no_note():
    edited = bytearray(flatedit.with_entries(probe_model.content(), {"a": b"1"}))
    edited[16:20] = struct.pack("<I", 2**31)
    again = flatedit.with_entries(bytes(edited), {"b": b"2"})
    assert {"a": b"1", "b": b"2"}.items() <= flatedit.entries(again).items()


def test_an_archive_behind_the_model_stays_there():
    model = flatzip.append(probe_model.content(), {"labels.txt": b"a\n", "notes.txt": b"b\n"})
    edited = flatedit.with_entries(model, {"entry": b"1"})
    assert flatzip.split(edited)[1] == {"labels.txt": b"a\n", "notes.txt": b"b\n"}
    assert flatedit.entries(edited)["entry"] == b"1"


@given(st.dictionaries(NAMES, st.binary(max_size=80), max_size=4))
def test_an_archive_is_taken_off_as_it_was_put_on(files):
    model = probe_model.content()
    assert flatzip.split(flatzip.append(model, files)) == (model, files)


def test_a_model_that_keeps_its_constants_outside_of_its_tables_is_refused():
    outside = struct.Struct("<Q")
    model = bytearray(
        build(
            Table(
                {
                    0: Number(Kind.U32, 3),
                    2: Tables([Table({})]),
                    4: Tables([Table({1: numbers(Kind.U32, [0])})]),
                }
            ),
            b"TFL3",
        )
    )
    buffer = next(root(bytes(model)).starts(4))
    outside.pack_into(model, buffer + 4, 4096)
    with pytest.raises(Malformed, match="more than 2 GB"):
        flatedit.with_entries(bytes(model), {"a": b"1"})


@pytest.mark.parametrize("content", [b"", b"not a model", probe_model.content()[:200]])
def test_what_is_no_model_is_refused(content):
    with pytest.raises(Malformed):
        flatedit.with_entries(content, {"a": b"1"})


def test_numbers_texts_and_vectors_are_read_as_they_were_written():
    written = Table(
        {
            0: text("name"),
            2: numbers(Kind.F32, [1.5, -2.0]),
            3: Tables([Table({1: Number(Kind.I8, -5)}), Table({})]),
            5: Number(Kind.U32, 2**32 - 1),
        }
    )
    found = root(build(written, b"TEST"))
    assert (found.text(0), found.text(1), found.floats(2), found.u32(5)) == (
        "name",
        "",
        (1.5, -2.0),
        2**32 - 1,
    )
    assert [table.i8(1) for table in found.tables(3)] == [-5, 0]
