"""Dashboards name what is exposed, in expressions that Prometheus reads, on panels that have room."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from agent.adapters.exposition import exposition
from tests.fakes.figures import of_device, of_fleet

MONITORING = Path(__file__).parents[4] / "deploy" / "monitoring"
BOARDS = sorted((MONITORING / "grafana").glob("*.json"))
EXPOSED = {
    line.partition("{")[0].partition(" ")[0]
    for families in (of_device(), of_fleet())
    for line in exposition(families).body.decode().splitlines()
    if not line.startswith("#")
}
LABELS = {
    label
    for families in (of_device(), of_fleet())
    for family in families
    for sample in (*family.samples, *family.buckets)
    for label in sample.labels
} | {"instance", "job", "le"}
KINDS = {"row", "stat", "table", "timeseries"}
METRIC = re.compile(r"\bshoal_\w+")

pytestmark = pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)


def board(path):
    return json.loads(path.read_text())


def shown(path):
    return [panel for panel in board(path)["panels"] if panel["type"] != "row"]


def expressions(path):
    return [target["expr"] for panel in shown(path) for target in panel["targets"]]


def plain(expr):
    """As Grafana sends it."""
    return re.sub(r"\$\w+", "x", expr.replace("$__rate_interval", "5m"))


def test_every_figure_that_is_drawn_is_told(path):
    named = {name for expr in expressions(path) for name in METRIC.findall(expr)}
    assert named <= EXPOSED


def test_every_label_that_is_drawn_is_told(path):
    texts = [target["expr"] + target["legendFormat"] for panel in shown(path) for target in panel["targets"]]
    named = {
        label
        for text in texts
        for label in re.findall(r"\{\{(\w+)\}\}", text) + re.findall(r"(\w+)(?:=~|!=|=)\"", text)
    }
    assert named
    assert named <= LABELS


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_reads_every_expression(path, tmp_path):
    rules = [{"record": f"r{n}", "expr": plain(expr)} for n, expr in enumerate(expressions(path))]
    # JSON is YAML.
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "drawn", "rules": rules}]}))
    checked = subprocess.run(
        ["promtool", "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_panels_have_ids_of_their_own_and_a_kind_that_grafana_brings(path):
    panels = board(path)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["type"] for panel in panels} <= KINDS
    for panel in shown(path):
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0


def test_whoever_imports_it_chooses_where_figures_come_from(path):
    told = board(path)
    assert told["templating"]["list"][0]["type"] == "datasource"
    sources = [panel["datasource"] for panel in shown(path)]
    sources += [target["datasource"] for panel in shown(path) for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_every_variable_that_is_used_is_there(path):
    names = {variable["name"] for variable in board(path)["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", " ".join(expressions(path)))) - {"__rate_interval"}
    assert used <= names
    queries = [v["definition"] for v in board(path)["templating"]["list"] if v["type"] == "query"]
    assert {name for query in queries for name in METRIC.findall(query)} <= EXPOSED


def test_no_panel_lies_over_another_or_beyond_the_edge(path):
    places = [panel["gridPos"] for panel in board(path)["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (
            one,
            other,
        )
