"""The features' page, written from the registry: ``python -m features.reference > docs/reference/features.md``.

A new feature is an object in ``features/definitions``; its row of the page follows from that object. With the path of
a ``foresight.toml`` the page has the features of that project's own files as well.
"""

from __future__ import annotations

import sys
from itertools import groupby

from features.definitions import feature_set, project_features
from features.engine.definition import Feature, FeatureSet
from kernel.settings import load_settings

_HEAD = """# Features

Written by `python -m features.reference`; edit the objects in `features/definitions`, not this page.

One row per customer, as of a moment. Only rows with `event_time < as_of` and `ingested_at <= as_of` are seen.

- **View**: the rows that the feature aggregates (`features/engine/definition.py` lists them).
- **Window**: rows at most so many days old; "all" is the whole history known at `as_of`. An order or a day is as old as
  its newest line, a gap as the later of its two days, a contract as its newest version. Spend by category, product or
  channel adds up the lines in the window.
- **Unit**: money is in the project's currency, shares are between 0 and 1.
- **When unknown**: the value of a customer without such rows; "missing" is NaN.
- **Version**: rises when the meaning of the feature changes.
- **Description**: the rest of a sentence that begins with the value. It is what a reason on the insight card says.
"""
_COLUMNS = ("Name", "Group", "View", "Window", "Unit", "When unknown", "Version", "Description")


def reference_page(features: FeatureSet) -> str:
    """The page in Markdown: one table per group, in the order of the registry."""
    tables = [_table(name, list(group)) for name, group in groupby(features, key=lambda feature: feature.group)]
    attributes = (
        "## attributes\n\nEvery attribute that `foresight.toml` maps in `[tables.customers] attributes` is one feature "
        "of the same name: text is a category (unit `word`), a number stays a number (unit `count`)."
    )
    return "\n".join([_HEAD, f"{len(features)} features, and the project's own attributes.\n", *tables, attributes, ""])


def _table(name: str, features: list[Feature]) -> str:
    rows = [_COLUMNS, tuple("---" for _ in _COLUMNS), *(_row(feature) for feature in features)]
    return f"## {name}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _row(feature: Feature) -> tuple[str, ...]:
    return (
        f"`{feature.name}`",
        feature.group,
        feature.view.value,
        "all" if feature.window_days is None else f"{feature.window_days} days",
        feature.unit.value,
        "missing" if feature.when_unknown is None else f"{feature.when_unknown:g}",
        str(feature.version),
        feature.phrase.replace("|", "\\|"),
    )


if __name__ == "__main__":
    own = [project_features(load_settings(path), {}) for path in sys.argv[1:2]]
    sys.stdout.write(reference_page(own[0] if own else feature_set({})))
