"""A report as a page that needs nothing from outside: no script, no font, no picture elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from deploy.core.factory.evaluation import summary
from deploy.core.factory.evaluation.document import ClassFigures, Report
from deploy.core.factory.evaluation.seen import Plot

_CLASSES_MAX: Final = 200
_PAIRS_MAX: Final = 40
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #16181d; --ground: #ffffff; --soft: #eef1f5; --line: #d5dae1; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ec; --ground: #14171c; --soft: #20252d; --line: #38404b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 78rem; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
h3 { font-size: .95rem; margin: 0 0 .4rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: bottom; }
td { white-space: nowrap; }
td:first-child { font-weight: 600; white-space: normal; min-width: 8rem; }
ul { padding-left: 1.2rem; }
.plots { display: grid; gap: 1.6rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
.plots svg { width: 100%; height: auto; max-width: 36rem; }
.seen { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
figure { margin: 0; } figcaption { font-size: .85rem; line-height: 1.35; }
.seen img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 4px; display: block;
  background: var(--soft); }
.small { font-size: .85rem; opacity: .8; }
@media print {
  body { max-width: none; padding: 0; font-size: 11px; }
  .wide { overflow: visible; } td { white-space: normal; }
  figure, tr { break-inside: avoid; } .plots { grid-template-columns: 1fr 1fr; }
}
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A picture on which the best model errs, as the address of its own bytes."""

    address: str
    name: str
    truth: str
    """Or what the reference names."""
    named: str
    score: float


def page(report: Report, plots: Sequence[Plot], examples: Sequence[Example], missing: str) -> str:
    """
    Args:
        report: what was found.
        plots: drawn; none where nothing here draws.
        examples: the worst first.
        missing: why there are no plots; empty where there are.
    """
    best = report.models[0].evaluation
    about = summary.pictures(best.pictures)
    parts = [
        f"<h1>Evaluation of {len(report.models)} model{'' if len(report.models) == 1 else 's'}</h1>",
        f'<p class="small">{about}, data {best.data[:12]}, by {escape(best.tool)}</p>',
        _table(*summary.table(report)),
        _list(summary.sentences(report)),
        _list(report.remarks),
        f"<p>No plots: {escape(missing)}.</p>" if missing else "",
        _plots(plots),
        _advice(report),
        _examples(examples, best.model.file),
        _confused(report),
        _classes(report),
        _files(report),
    ]
    body = "\n".join(filter(None, parts))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(best.model.file)}: evaluation</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def _cell(text: str) -> str:
    """Long names break where their words end."""
    return f"<td>{escape(text).replace('_', '_<wbr>')}</td>"


def _list(sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _plots(plots: Sequence[Plot]) -> str:
    if not plots:
        return ""
    shown = "\n".join(f"<figure><h3>{escape(plot.title)}</h3>{plot.svg}</figure>" for plot in plots)
    return f'<h2>Plots</h2>\n<div class="plots">{shown}</div>'


def _advice(report: Report) -> str:
    said = [
        f"<h3>{escape(report.models[each.model].evaluation.model.file)}, {each.pictures} pictures, "
        f"matched by {escape(each.matched_by)}</h3>{_list(each.advice)}"
        for each in report.layers
    ]
    return f"<h2>Layers</h2>\n{''.join(said)}" if said else ""


def _examples(examples: Sequence[Example], file: str) -> str:
    if not examples:
        return ""
    shown = "\n".join(
        f'<figure><img src="{escape(each.address)}" alt="{escape(each.name)}"><figcaption>'
        f"{escape(each.truth)}, named <b>{escape(each.named)}</b> ({each.score:.2f})<br>"
        f'<span class="small">{escape(each.name)}</span></figcaption></figure>'
        for each in examples
    )
    return f'<h2>Where {escape(file)} errs most surely</h2>\n<div class="seen">{shown}</div>'


def _confused(report: Report) -> str:
    accuracy = report.models[0].evaluation.accuracy
    if accuracy is None or not accuracy.confused:
        return ""
    rows = [[pair.truth, pair.named, str(pair.count)] for pair in accuracy.confused[:_PAIRS_MAX]]
    table = _table(["truth", "named", "pictures"], rows)
    said = f"<summary>{len(rows)} pairs of classes, the most frequent first</summary>"
    return f"<h2>Worst confusions</h2>\n<details>{said}{table}</details>"


def _classes(report: Report) -> str:
    accuracy = report.models[0].evaluation.accuracy
    if accuracy is None:
        return ""
    shown = sorted(accuracy.classes, key=lambda each: (not each.support, each.recall))[:_CLASSES_MAX]
    table = _table(["class", "pictures", "recall", "precision"], [_class(each) for each in shown])
    said = f"<summary>{len(shown)} classes, the worst first</summary>"
    return f"<h2>Classes</h2>\n<details>{said}{table}</details>"


def _class(found: ClassFigures) -> list[str]:
    return [
        found.label,
        str(found.support),
        summary.percent(found.recall) if found.support else "-",
        summary.percent(found.precision) if found.named else "-",
    ]


def _files(report: Report) -> str:
    rows = [
        [said.file, said.arithmetic, said.runtime, said.delegate, said.fit.value, said.digest]
        for said in (model.evaluation.model for model in report.models)
    ]
    headings = ["model", "arithmetic", "runtime", "computed by", "fit", "sha256"]
    return f'<h2>Files</h2>\n<div class="small">{_table(headings, rows)}</div>'
