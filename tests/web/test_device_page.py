"""The page of a device that does what the test says: what cannot be had of a real one at will."""

import contextlib
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect

from agent.adapters.web.passwords import OnePassword
from agent.core.page.words import Broker, Happened, Measured, Told, Turned
from agent.wire.reasons import Reason
from agent.wire.reports import CameraReport, CameraState, Event, Outcome, Phase, Progress, Throttling, Vitals
from tests.web import words
from tests.web.browser import DESK, NARROW, PHONE, SIZES, Visits, findings, misplaced, reached, spaced
from tests.web.scripted import Stage, on_stage

Show = Callable[..., Stage]


@pytest.fixture(autouse=True)
def show() -> Iterator[Show]:
    """Begins a play. It is over after the pages that watched it are closed, for they would complain."""
    with contextlib.ExitStack() as stack:
        yield lambda now=None, users=None: stack.enter_context(on_stage(now or words.now(), users))


@pytest.fixture
def stage(show: Show) -> Stage:
    return show()


def part(page: Page, title: str):
    return page.get_by_role("region", name=title, exact=True)


ODD = {
    "pipelines": {
        "main": words.pipeline(
            report=words.report(
                phase=Phase.HELD,
                reason=Reason.WINDOW,
                detail="it opens at 02:00 UTC",
                degraded="the Edge TPU is gone, so the CPU serves",
                camera=CameraReport(state=CameraState.BLACK, kind="v4l2", detail="every pixel is 0"),
            ),
            offered=words.offered(),
        ),
        "door": words.pipeline("door", report=words.report("door", active=None), frames=(), telemetry=()),
    },
    "events": (
        Happened(
            pipeline="main",
            event=Event(
                at=words.instant(),
                name="trial.proven",
                fields={"golden": 12, "invoke_p50_ms": 21.4, "delegate": "XNNPACK"},
            ),
        ),
        Happened(
            pipeline="main",
            event=Event(at=words.instant(), name="something.new", fields={"of": "tomorrow"}),
        ),
    ),
    "may": ("accept", "pause", "resume", "sign-out"),
}  # fmt: skip


@pytest.mark.parametrize(("size", "dark"), [(PHONE, False), (DESK, True)], ids=["light phone", "dark desk"])
def test_a_page_with_much_to_say_is_well_laid_out_and_accessible(
    visits: Visits, show: Show, size, dark: bool
):
    stage = show(words.now(**ODD))
    stage.tell(words.seen(200))
    page = visits.open(stage.url, size, dark=dark).page
    page.locator(".picture img").wait_for()
    assert misplaced(page) == []
    assert findings(page) == []
    if size == PHONE:
        page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        spaced(page)
        assert misplaced(page) == []


def test_colours_of_the_system_and_paper_lose_nothing(visits: Visits, show: Show):
    page = visits.open(show(words.now(**ODD)).url).page
    chosen, other = (page.get_by_role("tab", name=name) for name in ("main", "door"))
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    ground = "one => getComputedStyle(one).backgroundColor"
    assert chosen.evaluate(ground) != other.evaluate(ground)
    assert findings(page) == []
    page.emulate_media(forced_colors="none", color_scheme="dark", media="print")
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.locator("body")).to_have_css("color", "rgb(16, 23, 28)")
    log = page.get_by_role("region", name="Classified frames, newest first")
    assert log.evaluate("one => one.scrollHeight <= one.clientHeight + 1")


def test_whatever_the_device_says_of_itself_is_said_in_words(visits: Visits, show: Show):
    stage = show(words.now(**ODD))
    page = visits.open(stage.url).page
    model = part(page, "Model")
    expect(model).to_contain_text("lite0 1.0.0")
    expect(model).to_contain_text("b2c4d6e8" * 8)
    expect(model).to_contain_text("No maintenance window is open: it opens at 02:00 UTC.")
    expect(model).to_contain_text("the Edge TPU is gone, so the CPU serves")
    expect(model).to_contain_text("full integer, not compiled for an Edge TPU")
    expect(part(page, "What it sees")).to_contain_text("gives black frames")
    expect(part(page, "What it sees")).to_contain_text("under-voltage since boot")
    expect(part(page, "Updates so far")).to_contain_text("hens.jpg: 0.31 instead of 0.93")
    happened = part(page, "What happened")
    expect(happened).to_contain_text("Proven here: 12 golden inputs right, 21.4 ms on XNNPACK")
    expect(happened).to_contain_text("something.new: of tomorrow")
    page.get_by_role("tab", name="door").click()
    expect(model).to_contain_text("nothing yet")
    expect(page.get_by_text("No model serves yet.")).to_be_visible()


def test_what_happens_is_on_the_page_at_once(visits: Visits, stage: Stage):
    page = visits.open(stage.url).page
    seen = part(page, "What it sees")
    stage.tell(words.seen(200, "a heron"))
    expect(seen).to_contain_text("a heron")
    stage.tell(
        Turned(broker=Broker(up=False, place="broker.local:8883", since=words.instant(), reason="refused"))
    )
    expect(page.get_by_text("broker away since")).to_be_visible()
    hot = words.window(words.instant(), vitals=Vitals(soc_c=84.0, now=Throttling(throttled=True)))
    stage.tell(Measured(pipeline="main", telemetry=hot))
    expect(seen).to_contain_text("84.0 °C")
    expect(seen).to_contain_text("throttled")
    going = Progress(
        name="lite0", version="1.1.0", manifest=words.MANIFEST, bytes_done=1_048_576, bytes_total=4_194_304
    )
    stage.tell(Told(report=words.report(phase=Phase.FETCHING, candidate=going)))
    expect(page.get_by_role("progressbar", name="lite0 1.1.0 fetched")).to_have_attribute("value", "0.25")
    expect(part(page, "Model")).to_contain_text("1.0 MiB of 4.0 MiB")
    refused = words.ended("1.1.0", Outcome.REFUSED, Reason.TOO_SLOW, "61 ms against 40 ms").ended
    stage.tell(Told(report=words.report(last=refused)))
    expect(part(page, "Updates so far")).to_contain_text("61 ms against 40 ms")
    out = CameraReport(state=CameraState.LOST, kind="v4l2")
    stage.tell(Told(report=words.report(camera=out)))
    expect(page.get_by_text("The camera: v4l2, unplugged, or never there.")).to_be_visible()


def test_labels_are_those_of_the_very_frame_that_is_shown(visits: Visits, stage: Stage):
    page = visits.open(stage.url).page
    over = page.locator(".picture figcaption")
    for sequence in range(300, 312):
        stage.tell(words.seen(sequence, f"thing {sequence}"))
        expect(over).to_contain_text(f"Frame {sequence},")
        assert f"thing {sequence}" in over.inner_text()


def test_a_label_is_read_in_its_own_direction_and_stays_in_its_place(visits: Visits, stage: Stage):
    arabic, overriding, long = "مالك الحزين", "\u202eheron", "heron " * 16
    page = visits.open(stage.url, PHONE).page
    stage.tell(words.seen(400, arabic, overriding, "🐦 bird", long))
    seen = part(page, "What it sees")
    for text in (arabic, overriding, "🐦 bird", long.strip()):
        expect(seen.get_by_text(text, exact=True)).to_be_visible()
    for text, score in ((arabic, "82 %"), (overriding, "9.0 %")):
        label, number = (seen.get_by_text(words, exact=True).bounding_box() for words in (text, score))
        assert label
        assert number
        assert label["x"] + label["width"] <= number["x"]
    assert misplaced(page) == []


def test_a_label_is_text_and_nothing_else(visits: Visits, stage: Stage):
    evil = "<img src=x onerror=\"document.title='owned'\">"
    visit = visits.open(stage.url)
    stage.tell(
        words.seen(400, evil),
        Happened(
            pipeline="main",
            event=Event(at=words.instant(), name="worker.crashed", fields={"restarts": 1, "detail": evil}),
        ),
        Told(report=words.report(degraded=evil), offered=words.offered(evil[:64])),
    )  # fmt: skip
    for title in ("What it sees", "Frame by frame", "What happened", "Model"):
        expect(part(visit.page, title)).to_contain_text("onerror=")
    assert visit.page.locator("img[src=x]").count() == 0
    assert visit.page.title() == "pi-7 · Shoal"


def test_a_release_is_installed_after_a_question(visits: Visits, show: Show):
    stage = show(words.now(**ODD))
    page = visits.open(stage.url).page
    page.get_by_role("button", name="Install").click()
    dialog = page.get_by_role("dialog", name="Install lite0 1.1.0?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    assert findings(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert stage.device.accepted == []
    page.get_by_role("button", name="Install").click()
    dialog.get_by_role("button", name="Install").click()
    expect(page.get_by_text("lite0 1.1.0 is being installed.")).to_be_visible()
    assert stage.device.accepted == [("main", "1.1.0")]


def test_a_picture_that_is_not_to_be_had_is_no_fault_of_the_page(visits: Visits, stage: Stage):
    page = visits.open(stage.url).page
    stage.tell(words.seen(300))
    expect(page.locator(".picture img")).not_to_have_class("past")
    stage.device.refuses = "the camera “hall” has not given a frame yet"
    stage.tell(words.seen(301))
    expect(page.locator(".picture")).to_contain_text(stage.device.refuses)
    expect(page.locator(".picture img")).to_have_class("past")
    assert page.request.get(f"{stage.url}api/frame").status == 503
    with page.expect_response("**/api/frame?*") as again:
        pass
    assert again.value.status == 204
    stage.device.refuses = ""
    stage.tell(words.seen(2))
    expect(page.locator(".picture figcaption")).to_contain_text("Frame 2,")


def test_a_refusal_is_said_where_it_was_asked(visits: Visits, show: Show):
    stage = show(words.now(**ODD))
    visit = visits.open(stage.url)
    visit.forgive("503", "409")
    visit.page.get_by_role("button", name="Install").click()
    stage.device.refuses = "lite0 1.1.0 waits no longer"
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Install").click()
    expect(dialog.get_by_role("alert")).to_have_text("lite0 1.1.0 waits no longer")


def test_pausing_and_going_on_are_one_button(visits: Visits, stage: Stage):
    page = visits.open(stage.url).page
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Pause", exact=True).wait_for()
    assert stage.device.paused == [("main", True), ("main", False)]


def test_who_may_only_look_is_offered_nothing_to_do(visits: Visits, show: Show):
    stage = show(words.now(**{**ODD, "may": ()}))
    page = visits.open(stage.url).page
    part(page, "Model").get_by_text("You may look, and not install.").wait_for()
    for name in ("Install", "Pause", "Resume", "Sign out"):
        assert page.get_by_role("button", name=name, exact=True).count() == 0


def test_the_log_is_filtered_paused_and_saved(visits: Visits, stage: Stage, tmp_path: Path):
    page = visits.open(stage.url).page
    log = part(page, "Frame by frame")
    stage.tell(words.seen(500, "a heron"), words.seen(501, '=1+1,"x"'))
    log.get_by_role("cell", name="a heron").wait_for()
    log.get_by_role("button", name="Pause log").click()
    stage.tell(words.seen(502, "a heron"))
    expect(log).to_contain_text("1 newer frame")
    log.get_by_label("Label has").fill("HERON")
    expect(log).to_contain_text("1 of 62 frames")
    log.get_by_role("button", name="Resume log").click()
    expect(log).to_contain_text("2 of 63 frames")
    log.get_by_label("Label has").fill("")
    log.get_by_label("Score at least, %").fill("90")
    expect(log).to_contain_text("No frame is like that.")
    log.get_by_label("Score at least, %").fill("")
    lines = [json.loads(line) for line in saved(page, "Save JSON lines", tmp_path).splitlines()]
    assert [line["sequence"] for line in lines[-3:]] == [500, 501, 502]
    assert lines[-3]["predictions"][0]["label"] == "a heron"
    rows = list(csv.DictReader(io.StringIO(saved(page, "Save CSV", tmp_path))))
    assert len(rows) == 63
    assert rows[-2]["label"] == '\'=1+1,"x"'
    assert float(rows[-1]["age_ms"]) == pytest.approx(lines[-1]["latency_ms"]["age"])


def saved(page: Page, button: str, folder: Path) -> str:
    with page.expect_download() as coming:
        page.get_by_role("button", name=button).click()
    coming.value.save_as(folder / coming.value.suggested_filename)
    return (folder / coming.value.suggested_filename).read_text(encoding="utf-8")


@SIZES
def test_the_keyboard_reaches_everything_in_order(visits: Visits, show: Show, size):
    stage = show(words.now(**ODD))
    page = visits.open(stage.url, size).page
    page.get_by_role("button", name="Install").wait_for()
    names = reached(page)
    wanted = [
        "Skip to the picture",
        "main",
        "Pause",
        "Sign out",
        "Install",
        "Updates that have ended, newest first",
        "Minute",
        "As a table",
        "Milliseconds by stage",
        "Label has",
        "Score at least, %",
        "Pause log",
        "Save JSON lines",
        "Save CSV",
        "Classified frames, newest first",
        "Events, newest first",
    ]
    assert [name for name in names if name in wanted] == wanted
    page.get_by_role("tab", name="main").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="door")).to_be_focused()
    expect(page.get_by_role("tab", name="door")).to_have_attribute("aria-selected", "true")


def test_a_chart_has_a_table_and_spans_of_time(visits: Visits, stage: Stage):
    page = visits.open(stage.url).page
    latency = part(page, "Latency")
    expect(latency.get_by_role("img")).to_have_accessible_name(
        "Latency of each frame by stage over the last minute; the newest answer was 32.4 ms old"
    )
    latency.get_by_text("As a table").click()
    expect(latency.get_by_role("columnheader", name="preparing")).to_be_visible()
    for tab, said in (("Hour", "95 of 100 within 34.2 ms"), ("Heat", "now processor 61.2 °C")):
        latency.get_by_role("tab", name=tab).click()
        expect(latency.get_by_role("img")).to_have_attribute("aria-label", re.compile(re.escape(said)))


HIDE = """hidden => {
  Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.mark.parametrize("how", ["hidden", "scrolled"])
def test_no_picture_is_asked_for_while_nobody_sees_it(visits: Visits, stage: Stage, how: str):
    page = visits.open(stage.url, PHONE).page
    stage.tell(words.seen(600))
    expect(page.locator(".picture figcaption")).to_contain_text("Frame 600,")
    if how == "hidden":
        page.evaluate(HIDE, True)
    else:
        part(page, "What happened").scroll_into_view_if_needed()
    # One that was asked for before may still be on its way.
    page.wait_for_timeout(300)
    asked = stage.device.asked
    for sequence in range(601, 606):
        stage.tell(words.seen(sequence))
        page.wait_for_timeout(100)
    assert stage.device.asked == asked
    if how == "hidden":
        page.evaluate(HIDE, False)
    else:
        page.evaluate("() => window.scrollTo(0, 0)")
    expect(page.locator(".picture figcaption")).to_contain_text("Frame 605,")


DEAF = """() => {
  const Line = window.EventSource;
  window.lines = [];
  window.EventSource = class extends Line {
    constructor(address) {
      super(address);
      window.lines.push(this);
    }
    addEventListener(name, heard) {
      super.addEventListener(name, event => this.deaf || heard(event));
    }
  };
}"""
"""A line that can die without a word, as one does while a laptop sleeps."""


def test_a_page_that_slept_is_right_at_once_and_says_nothing_twice(visits: Visits, stage: Stage):
    page = visits.open(f"{stage.url}healthz").page
    page.add_init_script(f"({DEAF})()")
    page.goto(stage.url)
    shown, log = page.locator(".picture figcaption"), part(page, "Frame by frame")
    stage.tell(words.seen(800))
    expect(shown).to_contain_text("Frame 800,")
    page.evaluate("() => { window.lines[0].deaf = true; }")
    # For so long a page trusts a line that is silent.
    page.wait_for_timeout(2_500)
    stage.tell(words.seen(801), words.seen(802, "a heron"))
    page.evaluate("() => window.dispatchEvent(new Event('online'))")
    expect(shown).to_contain_text("a heron")
    stage.tell(words.seen(803))
    expect(shown).to_contain_text("Frame 803,")
    expect(log).to_contain_text("64 frames kept")
    assert len(stage.device._listeners) == 1


def test_a_password_is_asked_for_and_a_wrong_one_refused(visits: Visits, show: Show):
    stage = show(words.now(), OnePassword("herring"))
    visit = visits.open(stage.url, PHONE)
    visit.forgive("401")
    page = visit.page
    assert findings(page) == []
    assert misplaced(page) == []
    page.keyboard.type("carp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    page.get_by_label("Password").fill("herring")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="pi-7")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_browser_that_was_let_in_once_is_sent_to_sign_in_where_it_no_longer_is(visits: Visits, show: Show):
    stage = show(words.now(), OnePassword("herring"))
    visit = visits.open(stage.url, DESK)
    visit.forgive("401")
    page = visit.page
    page.get_by_label("Password").fill("herring")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pause", exact=True).wait_for()
    page.context.clear_cookies()
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_several_pipelines_are_each_shown(visits: Visits, show: Show):
    stage = show(words.now(pipelines={"main": words.pipeline(), "door": words.pipeline("door")}))
    page = visits.open(stage.url).page
    page.get_by_role("tab", name="door").click()
    stage.tell(words.seen(700, "a visitor", name="door"), words.seen(700, "a cat"))
    expect(part(page, "What it sees")).to_contain_text("a visitor")
    page.get_by_role("tab", name="main").click()
    expect(part(page, "What it sees")).to_contain_text("a cat")


def test_a_pause_of_the_frames_is_no_pause_of_the_page(visits: Visits, stage: Stage):
    page = visits.open(stage.url).page
    stage.tell(Told(report=replace(words.report(), paused=True)))
    expect(page.get_by_text("Paused: nothing is classified.")).to_be_visible()


def test_what_was_seen_long_ago_is_not_told_as_if_it_were_now(visits: Visits, show: Show):
    ago = words.instant() - timedelta(minutes=5)
    out = CameraReport(state=CameraState.LOST, kind="v4l2", detail="/dev/video0: no such device")
    line = words.pipeline(report=words.report(camera=out), frames=(words.seen(7, at=ago),))
    page = visits.open(show(words.now(pipelines={"main": line})).url, PHONE).page
    expect(part(page, "What it sees")).to_contain_text("Seen 5 min ago")
    expect(page.locator(".picture")).to_contain_text("(/dev/video0: no such device)")
    titles = page.get_by_role("heading", level=2).all_inner_texts()
    assert titles.index("What it sees") < titles.index("Model")
