"""Does an attribute know the answer: attributes have no date, so that what was written after a customer left looks as
if it had always been known."""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.contract.sources import quoted
from features.usability.data import Data
from features.usability.rules import Rule, share

_MOST_AUC = 0.95
_LEAST_OF_BOTH = 20  # churned and stayed customers below which an AUC says nothing
_LEAST_OF_A_WORD = 20  # rarer words are taken together: their rates are chance
_LEAST_FILLED = 30
_ALMOST_ALL = 0.95
_LEAST_CONTRAST = 0.80
_LATER_SHARE = 0.01
_DATE_SHARE = 0.90
_FORMATS = "['%m/%d/%Y', '%d.%m.%Y', '%m/%d/%Y %H:%M', '%d.%m.%Y %H:%M', '%d/%m/%Y', '%Y%m%d']"

PREDICTS_ALONE = Rule(
    "U401",
    "attribute predicts churn alone",
    "train",
    State.ERROR,
    "customers",
    "",
    "an AUC below 0.95 for one attribute by itself",
    "Nothing known beforehand tells so much. It was most likely written when, or because, the customer left.",
    "Leave the attribute out, or map it as an activity with its own moment.",
)
LATER_DATE = Rule(
    "U402",
    "attribute holds later dates",
    "train",
    State.WARNING,
    "customers",
    "",
    "less than 1% of the dates after the label window began",
    "A date after the window began was not known when the window began, and tells what happened in it.",
    "Leave the attribute out, or map it as an activity with its own moment.",
)
FILLED_FOR_ONE = Rule(
    "U403",
    "attribute filled for one outcome only",
    "train",
    State.WARNING,
    "customers",
    "",
    "filled for churned and for staying customers alike",
    "Whether it is filled gives the answer away, whatever it says.",
    "Leave the attribute out, or map it as an activity with its own moment.",
)

_LABELLED = "usability_buyers JOIN customers USING (customer_id) WHERE active"


def predicts_alone(data: Data) -> Iterable[Finding]:
    """U401: the AUC of each attribute by itself, either way round."""
    for column in data.profiles.attributes:
        groups = _of_numbers(column) if column in data.number_attributes else _of_words(column)
        # Mann-Whitney over groups: a churned customer beats every staying one below, and half of those beside.
        churned, stayed, auc = data.row(
            "SELECT coalesce(sum(gone), 0), coalesce(sum(kept), 0), "
            "sum(gone * below) / nullif(sum(gone) * sum(kept), 0) "
            f"FROM (SELECT gone, kept, sum(kept) OVER (ORDER BY rank) - kept / 2 AS below FROM ({groups}))"
        )
        if min(churned, stayed) < _LEAST_OF_BOTH or max(auc, 1 - auc) < _MOST_AUC:
            continue
        yield PREDICTS_ALONE.finding(
            f"{column} alone tells who churned: AUC {max(auc, 1 - auc):.3f} over {churned + stayed:,.0f} customers for "
            f"whom it is filled, {churned:,.0f} of them churned in the window from {data.label_start:%Y-%m-%d}.",
            required=f"AUC below {_MOST_AUC}",
            actual=f"AUC {max(auc, 1 - auc):.3f}",
            column=column,
        )


def _of_numbers(column: str) -> str:
    name = quoted(column)
    return (
        f"SELECT {name} AS rank, CAST(count(*) FILTER (churned) AS DOUBLE) AS gone, "
        f"CAST(count(*) FILTER (NOT churned) AS DOUBLE) AS kept FROM {_LABELLED} AND {name} IS NOT NULL GROUP BY 1"
    )


def _of_words(column: str) -> str:
    name = quoted(column)
    words = (
        f"SELECT {name} AS word, count(*) FILTER (churned) AS gone, count(*) FILTER (NOT churned) AS kept "
        f"FROM {_LABELLED} AND {name} IS NOT NULL GROUP BY 1"
    )
    # Words of equal rate need no order among themselves, and form one group.
    pooled = (
        "SELECT sum(gone) AS gone, sum(kept) AS kept FROM "
        f"({words}) GROUP BY CASE WHEN gone + kept >= {_LEAST_OF_A_WORD} THEN word END"
    )
    return (
        "SELECT gone / (gone + kept) AS rank, CAST(sum(gone) AS DOUBLE) AS gone, CAST(sum(kept) AS DOUBLE) AS kept "
        f"FROM ({pooled}) GROUP BY 1"
    )


def later_dates(data: Data) -> Iterable[Finding]:
    """U402: words that are dates, after the label window began."""
    for column in data.text_attributes:
        name = quoted(column)
        moment = f"coalesce(TRY_CAST({name} AS TIMESTAMP), TRY_STRPTIME({name}, {_FORMATS}))"
        filled, dates, later = data.row(
            f"SELECT count({name}), count({moment}), count(*) FILTER ({moment} >= TIMESTAMP '{data.label_start}') "
            f"FROM customers"
        )
        if filled < _LEAST_FILLED or dates < _DATE_SHARE * filled or later < _LATER_SHARE * dates:
            continue
        yield LATER_DATE.finding(
            f"{later:,} dates in {column} lie after {data.label_start:%Y-%m-%d}, where the newest label window began.",
            required="less than 1.0% of the dates",
            actual=share(later, dates, "dates"),
            column=column,
        )


def filled_for_one(data: Data) -> Iterable[Finding]:
    """U403: being filled is the answer."""
    columns = list(data.profiles.attributes)
    if not columns:
        return
    counts = ", ".join(f"count({quoted(column)}), count({quoted(column)}) FILTER (churned)" for column in columns)
    total, gone, *figures = data.row(f"SELECT count(*), count(*) FILTER (churned), {counts} FROM {_LABELLED}")
    for column, filled, left in zip(columns, figures[::2], figures[1::2], strict=True):
        if filled < _LEAST_FILLED:
            continue
        for word, those, all_those in (("churned", left, gone), ("stayed", filled - left, total - gone)):
            if those < _ALMOST_ALL * filled or all_those > _LEAST_CONTRAST * total:
                continue
            yield FILLED_FOR_ONE.finding(
                f"{column} is filled for {filled:,} of {total:,} labelled customers, and {those / filled:.1%} of these "
                f"{word}; of all labelled customers {all_those / total:.1%} did.",
                required="about the same share in both",
                actual=f"{share(those, filled, 'filled customers')} {word}",
                column=column,
            )


RULES = (PREDICTS_ALONE, LATER_DATE, FILLED_FOR_ONE)
CHECKS = (predicts_alone, later_dates, filled_for_one)
