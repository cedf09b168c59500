"""The page of a report: whole in itself, whatever somebody called a class or a file."""

from html.parser import HTMLParser

from agent.wire.documents import Fit
from agent.wire.topics import Digest
from deploy.core.factory.evaluation import figures, report_page, verdicts
from deploy.core.factory.evaluation.document import Latency, Model, ModelSaid, Report
from deploy.core.factory.evaluation.report_page import Example
from deploy.core.factory.evaluation.seen import Plot, Seen
from deploy.core.factory.evaluation.verdicts import Marked

HOSTILE = "<script>alert('x')</script>"
VOID = {"meta", "img", "br", "path", "wbr"}


class Checked(HTMLParser):
    """Knows which elements there are, and that each ends where it should."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag


def model(file: str, right: bool) -> Model:
    seen = Seen(
        top=((0 if right else 1, 0.9),),
        rank=0 if right else 1,
        truth_score=0.5,
        squares=0.8,
        finite=True,
        distance=0.0,
        invoke_ms=1.0,
        whole_ms=1.0,
    )
    said = ModelSaid(
        file=file,
        digest=Digest("a" * 64),
        length=1,
        pulled=1,
        arithmetic="float",
        runtime="r",
        delegate="cpu",
        threads=1,
        fit=Fit.SQUASH,
    )
    labels = [HOSTILE, "b & c"]
    return Model(
        evaluation=figures.evaluation(said, [seen], [0], labels, ("shoal 0", Digest("b" * 64))),
        latency=Latency(invoke_p50_ms=1, invoke_p95_ms=1, whole_p50_ms=1, whole_p95_ms=1),
    )


def page(missing: str = "") -> str:
    report = Report(
        models=(model(HOSTILE, right=False), model("b.tflite", right=True)),
        reference=None,
        pairs=verdicts.pairs([Marked(HOSTILE, (False,)), Marked("b.tflite", (True,))]),
        remarks=(f"remark {HOSTILE}",),
    )
    plots = [] if missing else [Plot(title="t", svg="<svg><path/></svg>")]
    example = Example(
        address="data:image/jpeg;base64,AA==", name=HOSTILE, truth="t", named=HOSTILE, score=1.0
    )
    return report_page.page(report, plots, [example], missing)


def test_names_are_text_and_never_elements():
    found = Checked()
    found.feed(page())
    assert found.open == []
    assert "script" not in found.seen
    assert {"table", "svg", "img", "details"} <= found.seen


def test_a_page_needs_nothing_from_outside():
    found = Checked()
    found.feed(page())
    assert found.addresses
    assert all(address.startswith("data:") for address in found.addresses)
    assert "@import" not in page()
    assert "url(" not in page()


def test_without_plots_the_tables_stand_and_the_page_says_what_to_install():
    said = page(missing="plots need matplotlib: pip install 'shoal[evaluate]'")
    assert "No plots: plots need matplotlib: pip install" in said
    assert "<svg" not in said
    assert "<table" in said
