import pytest
from msgspec.structs import replace

from agent.core.update.trial import Failed, Passed, ShadowPair, judge, judge_shadow
from agent.wire.documents import (
    Artifact,
    Chunk,
    Delegate,
    Dtype,
    Golden,
    InputContract,
    Manifest,
    OutputContract,
    TrialPolicy,
    Variant,
)
from agent.wire.ipc import Findings, GoldenFinding
from agent.wire.reasons import Reason
from agent.wire.reports import Ranked
from agent.wire.topics import sha256

NAN = float("nan")


def artifact(content: bytes) -> Artifact:
    return Artifact(
        digest=sha256(content),
        length=len(content),
        chunks=(Chunk(digest=sha256(content), length=len(content)),),
    )


MANIFEST = Manifest(
    name="birds",
    version="1",
    variants=(Variant(artifact=artifact(b"model"), file="birds.tflite", delegate=Delegate.CPU),),
    input=InputContract(height_px=224, width_px=224, channels=3, dtype=Dtype.UINT8),
    output=OutputContract(classes=10, dtype=Dtype.UINT8),
    labels=artifact(b"labels"),
    golden=Golden(artifact=artifact(b"golden"), tolerance=0.05),
)
GOOD = GoldenFinding(expected=((3, 0.75), (5, 0.125)), found_top=3, found=(0.78125, 0.125), finite=True)
TIE = GoldenFinding(expected=((3, 0.4375), (5, 0.40625)), found_top=5, found=(0.421875, 0.4375), finite=True)
FINDINGS = Findings(
    manifest=sha256(b"manifest"),
    delegate="xnnpack",
    delegate_reason="full integer",
    runtime="litert",
    classes=10,
    labels=10,
    contract_fault=None,
    golden=(GOOD, TIE),
    load_ms=12.0,
    invoke_ms=(9.0, 10.0, 11.0),
)
POLICY = TrialPolicy(invoke_budget_ms=11.0)


def golden(**change):
    return {"golden": (GOOD, replace(GOOD, **change))}


def test_a_candidate_that_keeps_every_promise_passes():
    assert judge(FINDINGS, MANIFEST, POLICY) == Passed()


def test_a_release_without_labels_needs_none():
    assert judge(replace(FINDINGS, labels=None), replace(MANIFEST, labels=None), POLICY) == Passed()


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (
            {"contract_fault": "input is int8, the manifest says uint8"},
            Failed(Reason.CONTRACT_MISMATCH, "input is int8, the manifest says uint8"),
        ),
        (
            {"classes": 11},
            Failed(Reason.CONTRACT_MISMATCH, "the model has 11 classes, the manifest declares 10"),
        ),
        (
            {"labels": 9},
            Failed(Reason.LABELS_MISMATCH, "the label file has 9 lines for 10 classes"),
        ),
        (
            {"labels": None},
            Failed(Reason.LABELS_MISMATCH, "the manifest names a label file and none was read"),
        ),
        (
            golden(finite=False),
            Failed(Reason.OUTPUT_NOT_FINITE, "golden case 1 gave NaN or infinity"),
        ),
        (
            golden(found=(NAN, 0.125)),
            Failed(Reason.OUTPUT_NOT_FINITE, "golden case 1 gave NaN or infinity"),
        ),
        (
            golden(found_top=5),
            Failed(
                Reason.GOLDEN_MISMATCH,
                "golden case 1: class 5 is best, 3 is expected with a lead of 0.6250",
            ),
        ),
        (
            golden(found=(0.75, 0.1875)),
            Failed(
                Reason.GOLDEN_MISMATCH,
                "golden case 1: class 5 scores 0.1875, expected 0.1250 within 0.0500",
            ),
        ),
        (
            golden(expected=((3, NAN), (5, 0.125))),
            Failed(
                Reason.GOLDEN_MISMATCH,
                "golden case 1: class 3 scores 0.7812, expected nan within 0.0500",
            ),
        ),
        (
            golden(found=(0.75,)),
            Failed(Reason.GOLDEN_MISMATCH, "golden case 1: 2 classes are expected, 1 were compared"),
        ),
        (
            golden(expected=(), found=()),
            Failed(Reason.GOLDEN_MISMATCH, "golden case 1: 0 classes are expected, 0 were compared"),
        ),
        (
            golden(expected=((3, 0.75),), found=(0.75,), found_top=4),
            Failed(
                Reason.GOLDEN_MISMATCH,
                "golden case 1: class 4 is best, 3 is expected with a lead of 0.5000",
            ),
        ),
        (
            {"golden": ()},
            Failed(
                Reason.GOLDEN_MISMATCH,
                "the golden set has no cases: release it with at least one",
            ),
        ),
        (
            {"invoke_ms": (9.0, 10.0, 11.5)},
            Failed(Reason.TOO_SLOW, "p95 of invoke is 11.5 ms on xnnpack, the budget is 11.0 ms"),
        ),
        (
            {"invoke_ms": ()},
            Failed(
                Reason.TOO_SLOW,
                "no invocation was timed, so the budget is not known to be kept",
            ),
        ),
    ],
)
def test_a_broken_promise_fails_with_the_numbers_and_the_limit(change, failed):
    assert judge(replace(FINDINGS, **change), MANIFEST, POLICY) == failed


def test_the_most_telling_fault_is_told_first():
    """Faults are added from the last check to the first; each hides the ones before it."""
    faults = [
        ({"invoke_ms": (99.0,)}, Reason.TOO_SLOW),
        (golden(found_top=5), Reason.GOLDEN_MISMATCH),
        (golden(found_top=5, finite=False), Reason.OUTPUT_NOT_FINITE),
        ({"labels": 9}, Reason.LABELS_MISMATCH),
        ({"contract_fault": "rank 3"}, Reason.CONTRACT_MISMATCH),
    ]
    findings, told = FINDINGS, []
    for change, _ in faults:
        findings = replace(findings, **change)
        told.append(judge(findings, MANIFEST, POLICY).reason)
    assert told == [reason for _, reason in faults]


def one_slow_of(size: int) -> tuple[float, ...]:
    return (*[10.0] * (size - 1), 99.0)


@pytest.mark.parametrize(("size", "passes"), [(20, True), (19, False)])
def test_one_straggler_in_twenty_is_within_the_95th_percentile(size, passes):
    findings = replace(FINDINGS, invoke_ms=one_slow_of(size))
    assert (judge(findings, MANIFEST, POLICY) == Passed()) is passes


LABELS = ("cat", "dog", "Tench, Tinca tinca", "bird")
SHADOW = TrialPolicy(latency_ratio_max=4.0, agreement_min=0.5)


def says(label: str, score: float = 0.9) -> tuple[Ranked, ...]:
    index = sum(label.encode())
    return (
        Ranked(index=index, label=label, score=score),
        Ranked(index=index + 1, label="other", score=1 - score),
    )


def pair(
    running: str, candidate: str, *, sure: float = 0.9, score: float = 0.9, ms=(10.0, 10.0)
) -> ShadowPair:
    return ShadowPair(
        running=says(running, sure),
        running_invoke_ms=ms[0],
        candidate=says(candidate, score),
        candidate_invoke_ms=ms[1],
        finite=True,
    )


def pairs(running: str, candidate: str, **more) -> list[ShadowPair]:
    """One frame a word; the candidate's scores differ from frame to frame."""
    answers = zip(running.split(), candidate.split(), strict=True)
    return [pair(r, c, **({"score": 0.7 + n / 100} | more)) for n, (r, c) in enumerate(answers)]


NOT_FINITE = ShadowPair(
    running=says("cat"), running_invoke_ms=1.0, candidate=(), candidate_invoke_ms=1.0, finite=False
)


@pytest.mark.parametrize(
    "shadows",
    [
        [],
        pairs("cat dog cat dog cat", "cat dog cat dog cat"),
        pairs("cat dog cat dog cat bird", "cat dog cat bird bird dog"),  # half of them
        pairs("cat dog cat dog", "bird bird bird bird", score=0.9),  # too few to tell
        pairs("cat cat cat cat cat", "dog dog dog dog dog", sure=0.4),  # running is not sure
        pairs("wolf wolf wolf wolf wolf", "dog dog dog dog dog"),  # candidate knows no wolf
        pairs("cat cat cat cat cat", "CAT cat Cat cat cAt"),
        pairs("tench tench tench tench tench", "Tench Tench Tench Tench Tench"),
        pairs("cat cat cat cat cat", "cat cat cat cat cat", score=0.9),  # nothing else to see
        pairs("cat dog cat", "cat dog cat", ms=(10.0, 40.0)),
        pairs("cat dog cat", "cat dog cat", ms=(0.0, 40.0)),  # the running model was not timed
    ],
)
def test_a_candidate_passes_its_shadow_run_where_nothing_speaks_against_it(shadows):
    assert judge_shadow(shadows, SHADOW, LABELS) == Passed()


@pytest.mark.parametrize(
    ("shadows", "failed"),
    [
        (
            [*pairs("cat dog", "cat dog"), NOT_FINITE],
            Failed(Reason.OUTPUT_NOT_FINITE, "on 1 of 3 live frames"),
        ),
        (
            pairs("cat dog cat", "cat dog cat", ms=(10.0, 40.5)),
            Failed(
                Reason.TOO_SLOW,
                "median invoke is 40.5 ms where the running model needs 10.0 ms: "
                "4.05 times, at most 4.00 is allowed",
            ),
        ),
        (
            pairs("cat dog cat cat cat", "cat cat cat cat cat", score=0.9),
            Failed(
                Reason.CONSTANT_OUTPUT,
                "'cat' 0.9000 on all of 5 frames, on which the running model names 2 labels",
            ),
        ),
        (
            pairs("cat dog cat dog cat bird", "cat dog bird bird bird dog"),
            Failed(
                Reason.DISAGREES,
                "2 of 6 frames on which the running model is sure get the same label (0.33), "
                "at least 0.50 is needed",
            ),
        ),
        (
            [pair("wolf", "dog"), *pairs("cat cat cat cat cat", "dog dog dog dog dog")],
            Failed(
                Reason.DISAGREES,
                "0 of 5 frames on which the running model is sure get the same label (0.00), "
                "at least 0.50 is needed",
            ),
        ),
    ],
)
def test_a_candidate_fails_its_shadow_run_with_the_evidence(shadows, failed):
    assert judge_shadow(shadows, SHADOW, LABELS) == failed


def test_a_repeated_best_class_with_other_lesser_scores_is_no_constant_output():
    """A still scene: the sensor's noise moves the lesser scores of a sound model."""
    shadows = pairs("cat dog cat cat dog cat", "cat cat cat cat cat cat", score=0.9)
    moved = replace_last(shadows, (*says("cat", 0.9)[:1], Ranked(index=1, label="other", score=0.05)))
    assert judge_shadow(moved, SHADOW, LABELS) == Passed()


def replace_last(shadows: list[ShadowPair], candidate: tuple[Ranked, ...]) -> list[ShadowPair]:
    last = shadows[-1]
    changed = ShadowPair(
        last.running, last.running_invoke_ms, candidate, last.candidate_invoke_ms, finite=True
    )
    return [*shadows[:-1], changed]


def test_a_candidate_that_answers_nothing_at_all_is_constant():
    shadows = [
        ShadowPair(says(label), 10.0, (), 10.0, finite=True) for label in ("cat", "dog", "cat", "dog", "cat")
    ]
    assert judge_shadow(shadows, SHADOW, LABELS) == Failed(
        Reason.CONSTANT_OUTPUT, "nothing on all of 5 frames, on which the running model names 2 labels"
    )
