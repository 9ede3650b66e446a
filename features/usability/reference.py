"""The page of all codes, written from the rules.

``python -m features.usability.reference > docs/reference/checks.md``
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from features.usability.report import RULES
from features.usability.rules import Rule

_HEAD = """# Checks

Written by `python -m features.usability.reference`; edit the rules in `features/usability`, not this page.

`foresight check` reads the tables and says what is wrong or thin in them **before** anything is trained. An error ends
with exit code 1, everything else with 0. Rows are looked at as of the midnight (UTC) after the last transaction that
has happened, or as of `--as-of`.

- `foresight check -c FOLDER`: a table in the terminal.
- `foresight check -c FOLDER --format json`: the report as JSON on standard output.
- `foresight check -c FOLDER --out check.html`: one self-contained page (`.json`: the same as JSON), beside the table.
- `Project.open(FOLDER).usability()`: the same in a notebook.

Findings hold counts, shares and names of tables and columns, never a value of a customer.

## Fields of the JSON

| Field | Meaning |
|---|---|
| `schema_version` | 1; rises when a field is removed or means something else |
| `project` | the project's name |
| `as_of` | the moment that is looked back from, ISO 8601 in UTC |
| `first_transaction`, `last_transaction` | moments, ISO 8601 in UTC |
| `rows` | semantic table -> rows |
| `states` | `error`, `warning`, `recommendation`, `info` -> number of findings |
| `findings` | a list, errors first, by code within a state |
| `findings[].code` | the code below |
| `findings[].name` | its name |
| `findings[].step` | what suffers: `read`, `train` or `score` |
| `findings[].state` | `error`, `warning`, `recommendation` or `info` |
| `findings[].table`, `findings[].column` | where; "" where it is about all columns |
| `findings[].details` | a sentence with the figures, and how much more is needed |
| `findings[].required`, `findings[].actual` | the limit and what was found, with units; "" where there is no limit |
| `findings[].why`, `findings[].fix` | why it matters and what to do, as below |
"""
_GROUPS = {
    "D": ("Rows that count nowhere", "Found while the tables are read."),
    "P": ("Policies", "What `[policies]`, the time zone and consent did to the rows."),
    "U1": ("Is there enough data", "Limits of the products of the field, and how much more is needed."),
    "U2": ("Are moments what they seem", "Late rows, gaps, stray ends."),
    "U3": ("Are rows, amounts and columns what they seem", "Copies, absurd customers, columns that say nothing."),
    "U4": (
        "Does an attribute know the answer",
        "The label is: no purchase in the last `horizon_days` before as-of, among those with one in the `active_days` "
        "before these.",
    ),
    "U5": ("Is every customer a person", "Test accounts and robots."),
}


def reference_page(rules: Iterable[Rule]) -> str:
    """The page in Markdown: one section per group, one entry per code."""
    listed = sorted(rules, key=lambda rule: rule.code)
    parts = [_HEAD]
    for prefix, (heading, text) in _GROUPS.items():
        parts += [f"## {heading}\n\n{text}\n", *(_entry(rule) for rule in listed if rule.code.startswith(prefix))]
    return "\n".join(parts)


def _entry(rule: Rule) -> str:
    place = f"`{rule.table or 'any table'}`" + (f", `{rule.column}`" if rule.column else "")
    return (
        f"### {rule.code} {rule.name}\n\n"
        f"| | |\n|---|---|\n| State | {rule.state}, step {rule.step} |\n| Where | {place} |\n"
        f"| Required | {rule.required or 'nothing: it is only counted'} |\n| Why | {rule.why} |\n"
        f"| What to do | {rule.fix} |\n"
    )


if __name__ == "__main__":
    sys.stdout.write(reference_page(RULES.values()))
