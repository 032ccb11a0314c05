"""Reports and comparisons as text: tables of cells, Markdown, CSV and JSON. Nothing here computes a number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from savecli.metrics.report import RECALL_AT, Interval, RecallIntervals, Report
from savecli.training.compare import Comparison, Difference
from savecli.training.records import dropped_text
from savecli.training.report import EvaluationReport, RowName, Section

# Raise it when a field of the JSON documents changes its meaning or goes away.
SCHEMA = 1

# What is drawn anew are the clips of the split, with their captions.
_INTERVAL = "  95 %, clips redrawn"
_DIRECTIONS = {"t2v": "text to video", "v2t": "video to text"}
_TIES = {
    "strict": "count against the model",
    "optimistic": "count for the model",
    "reference": "as the published code counts",
}


class TextTable(NamedTuple):
    """Cells for people; the first row is the header. Texts stand left, numbers right."""

    title: str
    rows: tuple[tuple[str, ...], ...]


def facts_of(report: EvaluationReport) -> tuple[str, ...]:
    """Lines that must stand beside the tables."""
    about = report.about
    clips, captions = about.num_clips, about.num_captions
    protocol = "several captions a clip" if about.is_grouped else "one caption a clip"
    lines = [
        f"{about.dataset} · {about.split} · gallery of {_count(clips, 'clip')} · {_count(captions, 'caption')}, "
        f"{protocol}",
        f"{_share('with audio', about.num_with_audio, clips)} · {_share('with speech', about.num_with_speech, clips)}"
        f" · {_left_out(about.num_missing, about.num_unreadable)}",
        f"ties {_TIES[about.ties]}" + _repeated(about.num_repeated_captions) + _computed(about.precision),
    ]
    if about.dropped:
        lines.insert(2, f"of the annotations left out: {dropped_text(about.dropped)}")
    if about.checkpoint:
        lines.insert(0, about.checkpoint)
    if about.selection:
        lines.append(f"selection: {about.selection}")
    return tuple(lines)


def report_tables(report: EvaluationReport) -> tuple[TextTable, ...]:
    """A table for each kind of scores."""
    return tuple(TextTable(_title(section), tuple(_report_rows(section))) for section in report.sections)


def comparison_facts(comparison: Comparison) -> tuple[str, ...]:
    """Lines that must stand beside a comparison."""
    systems = (
        f"{letter} = {name}{_computed(precision)}" + (f" · selection: {selection}" if selection else "")
        for letter, name, precision, selection in zip(
            "AB", comparison.names, comparison.precisions, comparison.selections, strict=True
        )
    )
    return (
        *systems,
        f"{comparison.dataset} · {comparison.split} · gallery of {_count(comparison.num_clips, 'clip')} · "
        f"{_count(comparison.num_captions, 'caption')} · {_left_out(comparison.num_missing, None)}",
        f"ties {_TIES[comparison.ties]} · intervals and p by a paired bootstrap over clips; "
        "they say nothing of other training seeds",
    )


def comparison_tables(comparison: Comparison) -> tuple[TextTable, ...]:
    """One table: what both reach, and the difference."""
    header = ("", "measure", "A", "B", "B − A", "95 % interval", "p")
    rows = [
        (
            _DIRECTIONS[item.direction] if item.direction else "both",
            item.measure,
            f"{item.first:.1f}",
            f"{item.second:.1f}",
            f"{item.difference:+.1f}",
            f"{item.interval.low:+.1f} to {item.interval.high:+.1f}",
            "< 0.001" if item.p_value < 0.001 else f"{item.p_value:.3f}",
        )
        for item in comparison.differences
    ]
    return (TextTable("raw similarities", (header, *rows)),)


def to_markdown(facts: Sequence[str], tables: Sequence[TextTable]) -> str:
    """Facts as a list, then the tables."""
    blocks = ["\n".join(f"- {_escaped(line)}" for line in facts)]
    for table in tables:
        header, *rows = table.rows
        lines = [_markdown_row(header), "|---|" + "---:|" * (len(header) - 1), *map(_markdown_row, rows)]
        blocks.append(f"**{_escaped(table.title)}**\n\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def report_json(report: EvaluationReport) -> str:
    """One document."""
    about = report.about
    held = {
        "schema": SCHEMA,
        "kind": "evaluation",
        **asdict(about),
        "results": [_section_json(section) for section in report.sections],
    }
    return json.dumps(held, indent=2)


def comparison_json(comparison: Comparison) -> str:
    """One document."""
    return json.dumps({"schema": SCHEMA, "kind": "comparison", **asdict(comparison)}, indent=2)


def report_csv(report: EvaluationReport) -> str:
    """A line for each row of each table, with all facts on every line."""
    about = {**asdict(report.about), "dropped": dropped_text(report.about.dropped)}
    rows = [
        {**about, "processing": section.processing.name, "how": section.processing.how, **_flat(name, section)}
        for section in report.sections
        for name in section.names
    ]
    return _csv(rows)


def comparison_csv(comparison: Comparison) -> str:
    """A line for each measure."""
    facts = asdict(comparison)
    first, second = facts.pop("names")
    facts["selection_a"], facts["selection_b"] = facts.pop("selections")
    facts["precision_a"], facts["precision_b"] = facts.pop("precisions")
    facts.pop("differences")
    return _csv([{**facts, "a": first, "b": second, **_flat_difference(item)} for item in comparison.differences])


def _title(section: Section) -> str:
    name = section.processing.name
    notes = {
        "raw": "raw similarities",
        "inductive": f"post-processed, inductive: {section.processing.how}; not to be compared with raw",
        "transductive": f"post-processed, transductive: {section.processing.how}; it sees all test queries at once, "
        "not to be compared with raw",
    }
    return notes[name]


def _report_rows(section: Section) -> Iterator[tuple[str, ...]]:
    yield ("", "queries", *(f"R@{k}" for k in RECALL_AT), "MedR", "MeanR", "SumR")
    for number, name in enumerate(section.names):
        row = section.rows[name.key]
        ranks = f"{row.median_rank:.1f}", f"{row.mean_rank:.1f}"
        recall = (f"{row.recall[k]:.1f}" for k in RECALL_AT)
        yield (_row_title(name), str(row.num_queries), *recall, *ranks, f"{row.sum_recall:.1f}")
        if held := section.intervals.get(name.key):
            middle = (_range(held.recall[k]) for k in RECALL_AT)
            ranks = _range(held.median_rank), _range(held.mean_rank)
            yield (_INTERVAL, "", *middle, *ranks, _range(held.sum_recall))
        if number == 1 and section.sum_both:
            blank = ("",) * (len(RECALL_AT) + 3)
            yield ("both directions", *blank, f"{section.sum_both.value:.1f}")
            if section.sum_both_interval:
                yield (_INTERVAL, *blank, _range(section.sum_both_interval))


def _row_title(name: RowName) -> str:
    title = _DIRECTIONS[name.direction]
    return f"{title}, {name.group}" if name.group else title


def _section_json(section: Section) -> dict[str, Any]:
    both = section.sum_both
    return {
        "processing": section.processing.name,
        "how": section.processing.how,
        "rows": [_row_json(name, section) for name in section.names],
        "sum_recall_both": both
        and {
            "value": both.value,
            "directions": list(both.directions),
            "interval": section.sum_both_interval and asdict(section.sum_both_interval),
        },
    }


def _row_json(name: RowName, section: Section) -> dict[str, Any]:
    row, held = section.rows[name.key], section.intervals.get(name.key)
    return {
        "direction": name.direction,
        "group": name.group or None,
        "num_queries": row.num_queries,
        **_numbers(row),
        "intervals": held and {key: asdict(value) for key, value in _interval_items(held)},
    }


def _flat(name: RowName, section: Section) -> dict[str, Any]:
    row, held = section.rows[name.key], section.intervals.get(name.key)
    flat = {"direction": name.direction, "group": name.group, "num_queries": row.num_queries, **_numbers(row)}
    for key, value in _interval_items(held) if held else ():
        flat |= {f"{key}_low": value.low, f"{key}_high": value.high}
    return flat


def _flat_difference(item: Difference) -> dict[str, Any]:
    return {
        "direction": item.direction or "both",
        "measure": item.measure,
        "value_a": item.first,
        "value_b": item.second,
        "difference": item.difference,
        "low": item.interval.low,
        "high": item.interval.high,
        "p_value": item.p_value,
    }


def _numbers(row: Report[Any]) -> dict[str, float]:
    recall = {f"recall_at_{k}": row.recall[k] for k in RECALL_AT}
    return {
        **recall,
        "median_rank": row.median_rank,
        "mean_rank": row.mean_rank,
        "rank_std": row.rank_std,
        "sum_recall": row.sum_recall,
    }


def _interval_items(held: RecallIntervals) -> Iterator[tuple[str, Interval]]:
    yield from ((f"recall_at_{k}", value) for k, value in held.recall.items())
    for name in ("median_rank", "mean_rank", "sum_recall"):
        if value := getattr(held, name):
            yield name, value


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _range(interval: Interval | None) -> str:
    return f"{interval.low:.1f}–{interval.high:.1f}" if interval else ""


def _share(title: str, part: int | None, whole: int) -> str:
    return f"{title} {_percent(part, whole)}" if part is not None else f"{title}: not asked by this model"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _repeated(number: int) -> str:
    return f" · {_count(number, 'caption repeats', 'captions repeat')} another's text" if number else ""


def _left_out(num_missing: int, num_unreadable: int | None) -> str:
    """How many clips of the split are not in the gallery, and why where it is known."""
    if not num_missing:
        return "no clip is missing"
    left_out = f"{_count(num_missing, 'clip')} of the split left out"
    if num_unreadable is None:
        return left_out
    return f"{left_out}: {num_missing - num_unreadable} without a file, {num_unreadable} unreadable"


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _computed(precision: str) -> str:
    return f" · computed in {precision}" if precision else ""


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell.strip()) for cell in cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
