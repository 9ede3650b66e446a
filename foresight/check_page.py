"""The usability report as one self-contained HTML page: what to repair first, with figures; no customer is named."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from xml.etree.ElementTree import Element

from features.contract.findings import Finding, State
from features.usability.report import RULES, UsabilityReport
from kernel.errors import UsageError
from training.evaluation.markup import tag, written
from training.evaluation.words import day, minute

_SECTIONS = {
    State.ERROR: ("Errors", "Training would fail, or mislead. Repair these first."),
    State.WARNING: ("Warnings", "Nothing stops, and the numbers are worth less than they seem."),
    State.RECOMMENDATION: ("Recommendations", "What would make the models better."),
    State.INFO: ("What was done with the rows", "Policies of the project and what each did."),
}
# The page has no charts and no wide tables; these few rules are its own.
_CSS = """
.findings .advice { margin-top: 8px; padding-left: 12px; border-left: 3px solid var(--line); color: var(--soft);
  font-size: 14px; line-height: 1.5; }
.findings .advice strong { color: var(--ink); font-weight: 600; }
.findings .code { font-weight: 600; color: var(--soft); }
.amounts { display: flex; flex-wrap: wrap; gap: 2px 24px; margin: 6px 0 0; font-size: 14px; }
.amounts dt { color: var(--soft); display: inline; } .amounts dd { display: inline; font-weight: 600; }
.amounts div { min-width: 0; overflow-wrap: anywhere; }
"""


def render_check(report: UsabilityReport, made_at: datetime) -> str:
    """The page; ``made_at`` is when it was made, by the caller's clock."""
    title = f"{report.project.replace('_', ' ').capitalize()}: is the data fit for training?"
    sections = [_section(state, report) for state in State if report.count(state)]
    body = tag("main", _header(report, title), *(sections or [_nothing()]), _footer(report, made_at))
    css = _package_text("report.css") + _CSS
    return Template(_package_text("report.html")).substitute(title=escape(title), css=css, content=written(body))


def check_target(path: Path, types: tuple[str, ...] = (".html", ".json")) -> Path:
    """``path``, if a report can be written there.

    Args:
        types: endings of the file's name that are possible.

    Raises:
        UsageError: the folder does not exist, or the file has another ending.
    """
    if path.suffix.lower() not in types:
        raise UsageError(
            f"'{path.name}' is no file type of a report.", where="--out", fix=f"Name an {' or '.join(types)} file."
        )
    if not path.parent.is_dir():
        raise UsageError(f"The folder '{path.parent}' does not exist.", where="--out", fix="Make it, or name another.")
    return path


def as_json(report: UsabilityReport) -> str:
    """The report as JSON text."""
    return json.dumps(report.to_dict(), indent=2) + "\n"


def write_check(report: UsabilityReport, path: Path, made_at: datetime) -> None:
    """Write the report, as HTML or JSON by the file's name."""
    text = as_json(report) if path.suffix.lower() == ".json" else render_check(report, made_at)
    path.write_text(text, encoding="utf-8")


def verdict(report: UsabilityReport) -> str:
    """One sentence: how many of what."""
    errors, warnings, wishes = (report.count(state) for state in (State.ERROR, State.WARNING, State.RECOMMENDATION))
    if not errors + warnings + wishes:
        return "Nothing was found to be wrong or thin."
    parts = [_number(errors, "error"), _number(warnings, "warning"), _number(wishes, "recommendation")]
    return f"{', '.join(parts[:2])} and {parts[2]}."


def _header(report: UsabilityReport, title: str) -> Element:
    facts = {
        "As of": f"{day(report.as_of)} (UTC)",
        "Transactions": f"{day(report.first)} to {day(report.last)} (UTC)",
        "Rows": ", ".join(f"{count:,} {table}" for table, count in report.counts.items() if count),
        "Found": verdict(report).rstrip("."),
    }
    return tag(
        "header",
        tag("p", "Usability report", class_="quiet"),
        tag("h1", title),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", fact)) for name, fact in facts.items()), class_="facts"),
    )


def _section(state: State, report: UsabilityReport) -> Element:
    heading, meaning = _SECTIONS[state]
    found = [_finding(one) for one in report.findings if one.state is state]
    return tag("section", tag("h2", heading), tag("p", meaning, class_="quiet"), tag("ul", *found, class_="findings"))


def _finding(one: Finding) -> Element:
    rule = RULES[one.code]
    place = f"{one.table}.{one.column}" if one.column else one.table
    facts = {"Where": place, "Step": one.step, "Required": one.required, "Actual": one.actual}
    return tag(
        "li",
        tag(
            "p",
            tag("span", str(one.state), class_=f"chip {one.state}"),
            " ",
            tag("strong", f"{one.name[:1].upper()}{one.name[1:]}"),
            " ",
            tag("span", one.code, class_="code"),
        ),
        tag("p", one.details),
        tag(
            "dl",
            *(tag("div", tag("dt", f"{name}: "), tag("dd", fact)) for name, fact in facts.items() if fact),
            class_="amounts",
        ),
        tag("p", f"{rule.why} ", tag("strong", "What to do: "), rule.fix, class_="advice"),
    )


def _nothing() -> Element:
    return tag("section", tag("h2", "Nothing to report"), tag("p", "Nothing was found to be wrong or thin."))


def _footer(report: UsabilityReport, made_at: datetime) -> Element:
    return tag(
        "footer",
        tag(
            "p",
            f"Made {minute(made_at)} from rows before {minute(report.as_of)}. Every code is described in "
            "docs/reference/checks.md. The page holds counts and names of columns, and nothing about a customer.",
        ),
    )


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


@cache
def _package_text(name: str) -> str:
    return (files("training.evaluation") / name).read_text(encoding="utf-8")
