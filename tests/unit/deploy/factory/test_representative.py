import os
import re

import numpy as np
import pytest
from PIL import Image

from agent.core.inference.tensors import Preparer
from agent.ports.runtime import TensorInfo
from agent.wire.documents import Dtype, Fit, InputContract, Normalization
from deploy.core.factory.conversion.words import Signature, TensorForm
from deploy.core.factory.words import Look, Representative
from deploy.core.refusal import Refused
from deploy.factory.samples.representative import gather

LOOK = Look()
PHOTOGRAPHS = Signature(
    name="serving_default", inputs=(TensorForm(name="x", shape=(-1, 8, 8, 3), dtype="float32"),), outputs=()
)
BYTES = Signature(
    name="serving_default", inputs=(TensorForm(name="x", shape=(1, 8, 8, 3), dtype="uint8"),), outputs=()
)
PAIR = Signature(
    name="both",
    inputs=(
        TensorForm(name="image", shape=(-1, 4, 4, 1), dtype="float32"),
        TensorForm(name="mask", shape=(-1, 4), dtype="int32"),
    ),
    outputs=(),
)


def signature(*shape, dtype="float32", name="serving_default"):
    return Signature(name=name, inputs=(TensorForm(name="x", shape=shape, dtype=dtype),), outputs=())


def picture(path, seed=0, size=(24, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def gathered(place, of=PHOTOGRAPHS, look=LOOK):
    return gather([Representative(place=str(place))], [of], look)


def samples(found, name="serving_default"):
    return list(found.samples[name]())


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        picture(tmp_path / "pictures" / f"label{number % 2}" / f"{number}.png", number)
    return tmp_path / "pictures"


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize("normalization", [None, Normalization(mean=(1.0, 2.0, 3.0), std=(255.0,) * 3)])
def test_a_picture_becomes_the_tensor_that_a_device_makes_of_it(tmp_path, fit, normalization):
    pixels = picture(tmp_path / "one" / "a.png")
    contract = InputContract(
        height_px=8, width_px=8, channels=3, dtype=Dtype.FLOAT32, fit=fit, normalization=normalization
    )

    found = gathered(tmp_path / "one", look=Look(fit=fit, normalization=normalization))

    device = Preparer(contract, TensorInfo("x", (1, 8, 8, 3), Dtype.FLOAT32, None)).prepare(pixels)
    np.testing.assert_array_equal(samples(found)[0]["x"], device)


@pytest.mark.parametrize(
    ("of", "shape", "dtype"),
    [
        (signature(-1, 8, 8, 3), (1, 8, 8, 3), "float32"),
        (signature(1, 8, 10, 1), (1, 8, 10, 1), "float32"),
        (signature(-1, 8, 10), (1, 8, 10), "float32"),
        (signature(1, 3, 8, 10), (1, 3, 8, 10), "float32"),
        (signature(1, 8, 8, 3, dtype="uint8"), (1, 8, 8, 3), "uint8"),
    ],
)
def test_pictures_take_the_form_of_the_input(folder, of, shape, dtype):
    found = samples(gathered(folder, of))

    assert len(found) == 6
    assert {(each["x"].shape, str(each["x"].dtype)) for each in found} == {(shape, dtype)}


def test_samples_are_the_same_whatever_the_files_are_called_and_however_often_they_are_read(folder):
    first = gathered(folder)
    for path in sorted(folder.glob("*/*")):
        path.rename(path.with_name(f"{9 - int(path.stem)}-other.png"))
    second = gathered(folder)

    assert first.calibration == second.calibration
    once, again, renamed = samples(first), samples(first), samples(second)
    for each in (again, renamed):
        np.testing.assert_array_equal([s["x"] for s in once], [s["x"] for s in each])


def test_another_picture_or_another_look_is_another_digest(folder):
    before = gathered(folder).calibration
    squashed = gathered(folder, look=Look(fit=Fit.SQUASH)).calibration
    picture(folder / "label0" / "0.png", 99)

    assert len({before.digest, squashed.digest, gathered(folder).calibration.digest}) == 3
    assert before.samples == 6


def test_three_pictures_are_taken_and_a_hundred_advised(tmp_path):
    for number in range(3):
        picture(tmp_path / f"{number}.png", number)

    found = gathered(tmp_path)

    assert found.calibration.samples == 3
    assert [r for r in found.remarks if "3 samples: 100 to 500 are advised" in r]


def test_dark_pictures_are_pictures(tmp_path):
    for number in range(120):
        Image.new("RGB", (4, 4), (number % 50, number // 3, 9 + number % 2)).save(tmp_path / f"{number}.png")

    assert gathered(tmp_path).remarks == ()


def test_a_broken_picture_is_named_and_left_out_and_a_double_one_counts_once(folder):
    (folder / "label0" / "torn.jpg").write_bytes((folder / "label0" / "0.png").read_bytes()[:200])
    (folder / "twin.png").write_bytes((folder / "label0" / "0.png").read_bytes())

    found = gathered(folder)

    assert found.calibration.samples == 6
    said = " ".join(found.remarks)
    assert "torn.jpg" in said
    assert "1 of 8 pictures" in said


def test_five_hundred_are_taken_evenly_from_every_folder(tmp_path):
    for number in range(520):
        picture(tmp_path / ("rare" if number < 20 else "often") / f"{number}.bmp", number, (2, 2))

    found = gathered(tmp_path, signature(-1, 2, 2, 3))

    assert found.calibration.samples == 500
    assert "500 of the 520 pictures" in " ".join(found.remarks)


def test_arrays_of_a_file_are_samples_by_name_or_alone(tmp_path):
    images, masks = np.random.default_rng(1).random((5, 4, 4, 1)), np.arange(20).reshape(5, 4)
    np.savez(tmp_path / "both.npz", image=images, mask=masks, label=np.zeros(5))
    np.savez(tmp_path / "one.npz", images.astype(np.float32))

    pair = samples(gathered(tmp_path / "both.npz", PAIR), "both")
    alone = samples(gathered(tmp_path / "one.npz", signature(-1, 4, 4, 1)))

    assert len(pair) == len(alone) == 5
    np.testing.assert_array_equal(pair[3]["image"], images[3:4].astype(np.float32))
    np.testing.assert_array_equal(pair[3]["mask"], masks[3:4].astype(np.int32))
    assert pair[3]["mask"].dtype == np.int32
    np.testing.assert_array_equal(alone[4]["x"], images[4:].astype(np.float32))


def test_of_many_samples_in_a_file_those_are_taken_that_spread_over_it(tmp_path):
    np.savez(tmp_path / "many.npz", x=np.arange(1000, dtype=np.float32).reshape(1000, 1))

    found = gathered(tmp_path / "many.npz", signature(-1, 1))

    assert [float(each["x"][0, 0]) for each in samples(found)] == list(range(0, 1000, 2))
    assert "500 of the 1000 samples" in " ".join(found.remarks)


@pytest.mark.parametrize(
    ("arrays", "of", "words"),
    [
        (
            {"x": np.zeros((5, 9, 8, 3), np.float32)},
            PHOTOGRAPHS,
            r"shape 5 x 9 x 8 x 3, and the model takes samples of 8 x 8 x 3",
        ),
        ({"x": np.zeros((5, 8, 8, 3), np.uint8)}, PHOTOGRAPHS, "is uint8, and the model takes float32"),
        ({"x": np.full((5, 8, 8, 3), 300, np.int32)}, BYTES, "beyond those of uint8"),
        ({"x": np.full((5, 8, 8, 3), 1e300)}, PHOTOGRAPHS, r"sample 0 of x has infinity at \[0, 0, 0, 0\]"),
        ({"image": np.zeros((5, 4, 4, 1), np.float32)}, PAIR, "lacks the input mask"),
        (
            {"image": np.zeros((5, 4, 4, 1), np.float32), "mask": np.zeros((4, 4), np.int32)},
            PAIR,
            "5 of image, 4 of mask",
        ),
        ({"x": np.zeros((0, 8, 8, 3), np.float32)}, PHOTOGRAPHS, "gives no sample"),
        ({"x": np.array(["a", "b"])}, signature(-1), "is <U1, and the model takes float32"),
        (
            {"x": np.array([b"a", None], object)},
            signature(-1, dtype="string"),
            "no .npz file of plain arrays",
        ),
        ({"x": np.zeros((5, 8, 8, 3), np.float32)}, signature(2, 8, 8, 3), "in batches of 2"),
    ],
)
def test_arrays_that_are_not_the_models_are_refused_in_one_sentence(tmp_path, arrays, of, words):
    np.savez(tmp_path / "x.npz", **arrays)

    with pytest.raises(Refused, match=words) as refused:
        gathered(tmp_path / "x.npz", of)

    assert "\n" not in str(refused.value)


def test_a_nan_is_refused_with_its_sample_and_place(tmp_path):
    numbers = np.zeros((5, 8, 8, 3), np.float32)
    numbers[2, 1, 0, 2] = np.nan
    np.savez(tmp_path / "x.npz", x=numbers)

    with pytest.raises(Refused, match=re.escape("sample 2 of x has NaN at [0, 1, 0, 2]")):
        gathered(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path / "nowhere", "there is no such file or folder"),
        (lambda path: written(path / "x.npz", b"PK\3\4 torn"), "no .npz file of plain arrays"),
        (
            lambda path: written(path / "x.txt", b"1"),
            "is a folder of pictures, an .npz file or module:function",
        ),
        (lambda path: made(path / "empty"), "no picture"),
        (
            lambda path: written(made(path / "bad") / "a.jpg", b"no picture").parent,
            "none of the 1 pictures can be used",
        ),
        (lambda _: "no_such_module_here:samples", "there is no module no_such_module_here"),
        (lambda _: "os:no_such_function", "module os has no function no_such_function"),
        (lambda _: "os:cpu_count", "has the shape a single number"),
    ],
)
def test_a_place_that_gives_no_samples_is_refused_in_one_sentence(tmp_path, make, words):
    with pytest.raises(Refused, match=words) as refused:
        gathered(make(tmp_path))

    assert "\n" not in str(refused.value)


def written(path, content):
    path.write_bytes(content)
    return path


def made(path):
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (PAIR, "takes 2 inputs"),
        (signature(-1, 8), "pictures are 1 x height x width x 1 or 3"),
        (signature(-1, -1, -1, 3), "--shape"),
        (signature(1, 8, 8, 4), "give an .npz"),
        (signature(1, 8, 8, 3, dtype="int64"), "give an .npz"),
    ],
)
def test_pictures_for_a_model_that_takes_none_are_refused(folder, of, words):
    with pytest.raises(Refused, match=words):
        gathered(folder, of)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("for n in range(4): yield np.full((1, 2), n, np.float32)", 4),
        ("for n in range(4): yield {'x': np.full(2, n, np.float32)}", 4),
        ("for n in range(4): yield (np.full((1, 2), float(n)),)", 4),
        ("yield np.zeros((7, 2))", 7),
        ("while True: yield np.random.random((1, 2))", 500),
    ],
)
def test_a_function_gives_samples_one_by_one(tmp_path, monkeypatch, body, count):
    module = f"samples_{abs(hash(body))}"
    (tmp_path / f"{module}.py").write_text(f"import numpy as np\n\ndef samples():\n    {body}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(os.fspath(tmp_path))

    found = gathered(f"{module}:samples", signature(-1, 2))

    first, again = samples(found), samples(found)
    assert len(first) == found.calibration.samples == count
    assert {each["x"].shape for each in first} == {(1, 2)}
    np.testing.assert_array_equal([s["x"] for s in first], [s["x"] for s in again])


def test_a_function_that_fails_is_told_with_its_line(tmp_path, monkeypatch):
    (tmp_path / "fails_late.py").write_text(
        "def samples():\n    yield ([1.0, 2.0],)\n    raise KeyError('x')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(os.fspath(tmp_path))

    with pytest.raises(Refused, match=r"fails_late:samples fails in fails_late.py, line 3: KeyError"):
        gathered("fails_late:samples", signature(-1, 2))


@pytest.mark.parametrize(
    ("numbers", "look", "words"),
    [
        (
            lambda r: r.integers(0, 256, (120, 4, 4, 3)).astype(np.float32),
            LOOK,
            "runs from 0 to 255, and a device feeds -1 to 1",
        ),
        (lambda r: r.random((120, 4, 4, 3)), LOOK, "and a device feeds -1 to 1"),
        (
            lambda r: r.random((120, 4, 4, 3)),
            Look(normalization=Normalization(mean=(0.0,), std=(255.0,))),
            None,
        ),
        (lambda r: r.random((120, 4, 4, 3)) * 2 - 1, LOOK, None),
        (
            lambda r: np.repeat(r.random((1, 4, 4, 3)) * 2 - 1, 120, axis=0),
            LOOK,
            "all 120 samples are the same",
        ),
        (lambda r: (r.random((120, 4, 4, 3)) * 2 - 1) * [1, 0, 1], LOOK, "channel 1 of x is constant"),
        (
            lambda r: (r.random((120, 4, 4, 3)) * 2 - 1)[[*range(110), *range(10)]],
            LOOK,
            "10 of 120 samples repeat",
        ),
    ],
)
def test_what_spoils_ranges_unseen_is_remarked(tmp_path, numbers, look, words):
    np.savez(tmp_path / "x.npz", x=numbers(np.random.default_rng(3)))

    remarks = gathered(tmp_path / "x.npz", signature(-1, 4, 4, 3), look).remarks

    assert (remarks == ()) if words is None else [remark for remark in remarks if words in remark]


def test_each_signature_has_samples_of_its_own_and_none_may_lack_them(tmp_path):
    np.savez(tmp_path / "a.npz", np.zeros((2, 2), np.float32))
    np.savez(tmp_path / "b.npz", np.ones((3, 5), np.float32))
    one, two = signature(-1, 2, name="one"), signature(-1, 5, name="two")
    a, b = (
        Representative(place=str(tmp_path / f"{name}.npz"), signature=of)
        for name, of in (("a", "one"), ("b", "two"))
    )

    found = gather([b, a], [one, two], LOOK)

    assert (len(samples(found, "one")), len(samples(found, "two")), found.calibration.samples) == (2, 3, 5)
    with pytest.raises(Refused, match="no representative data for two"):
        gather([a], [one, two], LOOK)
    with pytest.raises(Refused, match="given for the signature three"):
        gather([Representative(place="/x", signature="three")], [one], LOOK)
    with pytest.raises(Refused, match="both given for one"):
        gather([a, Representative(place=b.place, signature="one")], [one, two], LOOK)


def test_texts_are_samples_of_a_model_that_takes_texts(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array(["hello", "grüße"]))

    found = samples(gathered(tmp_path / "x.npz", signature(-1, dtype="string")))

    assert [each["x"].tolist() for each in found] == [[b"hello"], ["grüße".encode()]]
