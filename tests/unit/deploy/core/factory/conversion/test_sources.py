"""What a source is, its signatures and its sizes, before anything is loaded."""

import pytest

from deploy.core.factory.conversion import allowing, kinds, metadata, shapes
from deploy.core.factory.conversion.noise import samples
from deploy.core.factory.conversion.words import Convert, Quantize, Signature, TensorForm
from deploy.core.factory.words import Source, SourceKind
from deploy.core.refusal import Refused


def form(name: str, *shape: int, dtype: str = "float32") -> TensorForm:
    return TensorForm(name=name, shape=shape, dtype=dtype)


def order(quantize: Quantize, **more: object) -> Convert:
    source = Source(kind=SourceKind.KERAS, place="/somewhere/birds.keras")
    return Convert(source=source, quantize=quantize, out="/somewhere/else.tflite", **more)


@pytest.mark.parametrize(
    ("given", "inside", "kind"),
    [
        ("birds.keras", None, SourceKind.KERAS),
        ("birds.H5", None, SourceKind.KERAS),
        ("birds.onnx", None, SourceKind.ONNX),
        ("birds.tflite", None, SourceKind.TFLITE),
        ("exported", ("assets", "saved_model.pb", "variables"), SourceKind.SAVED_MODEL),
    ],
)
def test_a_source_is_known_by_its_name_or_by_what_lies_in_it(
    given: str, inside: tuple[str, ...] | None, kind: SourceKind
) -> None:
    assert kinds.kind(given, inside) is kind


@pytest.mark.parametrize(
    ("given", "inside", "reason"),
    [
        ("birds.zip", None, "no kind of model"),
        ("birds", None, "no kind of model"),
        ("birds.pth", None, "PyTorch weights need their network"),
        ("birds.pb", None, "a frozen graph says nothing of its inputs"),
        ("photographs", ("a.jpg",), "without saved_model.pb"),
    ],
)
def test_what_is_no_source_is_refused_with_what_would_be_one(
    given: str, inside: tuple[str, ...] | None, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        kinds.kind(given, inside)


@pytest.mark.parametrize(
    ("given", "function"),
    [
        ("train:model", True),
        ("birds.nets.small:build", True),
        ("nets/small:build", False),
        ("./train:model", False),
        ("train", False),
        ("train:", False),
    ],
)
def test_a_function_is_a_module_and_a_name(given: str, function: bool) -> None:
    assert kinds.is_function(given) is function


@pytest.mark.parametrize(
    ("given", "exists", "parts"),
    [
        ("photographs", True, ("", "photographs")),
        ("embed=photographs", False, ("embed", "photographs")),
        ("a=b", True, ("", "a=b")),
    ],
)
def test_data_is_for_a_signature_unless_a_file_has_that_name(
    given: str, exists: bool, parts: tuple[str, str]
) -> None:
    assert kinds.representative(given, exists=exists) == parts


@pytest.mark.parametrize(
    ("declared", "given", "fixed"),
    [
        ((-1, 8, 8, 3), {}, (1, 8, 8, 3)),
        ((4, 8, 8, 3), {}, (4, 8, 8, 3)),
        ((-1, -1, -1, 3), {"image": (1, 20, 30, 3)}, (1, 20, 30, 3)),
        ((-1, 8, 8, 3), {"image": (-1, 8, 8, 3)}, (-1, 8, 8, 3)),
        ((), {}, ()),
    ],
)
def test_an_open_batch_is_one_and_other_sizes_are_the_operators(
    declared: tuple[int, ...], given: dict[str, tuple[int, ...]], fixed: tuple[int, ...]
) -> None:
    assert shapes.fixed("serving_default", [form("image", *declared)], given) == (form("image", *fixed),)


@pytest.mark.parametrize(
    ("declared", "given", "reason"),
    [
        ((-1, -1, -1, 3), {}, r"leaves sizes open .*--shape image=1x8x8x3"),
        ((-1, 8, 8, 3), {"image": (1, 9, 8, 3)}, r"--shape image=1x9x8x3 does not fit"),
        ((-1, 8, 8, 3), {"image": (1, 8, 8)}, r"any x 8 x 8 x 3 in the model"),
    ],
)
def test_sizes_that_stay_open_or_do_not_fit_are_refused(
    declared: tuple[int, ...], given: dict[str, tuple[int, ...]], reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        shapes.fixed("serving_default", [form("image", *declared)], given)


def test_a_shape_for_an_input_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(Refused, match="did you mean 'image'"):
        shapes.check_names({"imge": (1, 2)}, [form("image", 1, 2)])


def test_signatures_are_all_or_those_that_are_named() -> None:
    entries = [Signature(name=name, inputs=(), outputs=()) for name in ("embed", "decide")]

    assert shapes.chosen(entries, ()) == tuple(entries)
    assert shapes.chosen(entries, ("decide",)) == (entries[1],)
    with pytest.raises(Refused, match="did you mean 'embed'"):
        shapes.chosen(entries, ("embd",))
    with pytest.raises(Refused, match="no signature"):
        shapes.chosen([], ())


@pytest.mark.parametrize("mode", [mode for mode in Quantize if mode.calibrated])
def test_a_mode_that_sets_ranges_needs_data(mode: Quantize) -> None:
    with pytest.raises(Refused, match=r"--representative .*100 to 500"):
        allowing.check(order(mode))


@pytest.mark.parametrize("mode", [mode for mode in Quantize if not mode.calibrated])
def test_float_operators_fall_back_by_themselves_outside_the_full_integer_modes(mode: Quantize) -> None:
    allowing.check(order(mode))
    with pytest.raises(Refused, match="--float-fallback belongs to int16x8, int8, uint8"):
        allowing.check(order(mode, float_fallback=True))


def test_what_the_converter_was_told_names_no_place() -> None:
    told = order(
        Quantize.INT8,
        shapes={"image": (1, 2)},
        float_fallback=True,
        select_tf=("Erf",),
        accept_difference=0.5,
    )

    flags = metadata.flags(told)

    assert flags == (
        "quantize=int8",
        "shape=image=1x2",
        "float-fallback",
        "select-tf=Erf",
        "accept-difference=0.5",
    )


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "int64", "uint8", "int8", "bool", "string"])
def test_noise_is_the_same_every_time_and_of_the_declared_form(dtype: str) -> None:
    signature = Signature(name="", inputs=(form("given", 1, -1, 3, dtype=dtype),), outputs=())

    first, again = list(samples(signature)), list(samples(signature))

    assert [each["given"].tolist() for each in first] == [each["given"].tolist() for each in again]
    assert all(each["given"].shape == (1, 4, 3) for each in first)
    assert first[0]["given"].dtype == ("object" if dtype == "string" else dtype)
