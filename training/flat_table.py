"""One table, one row per customer, one column that says what came: how well can it be told from the others?

For data that know no time. Without it nothing shows that a column was known before the outcome; what gives itself away
is left out or refused. The judgement is by folds of customers; no model is registered, since none could be used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import roc_auc_score

from kernel.artefacts import FeatureColumn
from kernel.errors import NotEnoughDataError, UsageError, did_you_mean
from kernel.part import Floats
from training.dataset import TrainingSet
from training.evaluation.calibration import calibration_metrics
from training.evaluation.discrimination import Interval, auc_interval, ranking_metrics
from training.evaluation.grade import Grade, grade_churn
from training.evaluation.leaks import LEAK, auc_alone
from training.evaluation.out_of_fold import customer_folds, out_of_fold
from training.models.churn import check_outcomes
from training.models.columns import MOST_WORDS, frequent_words
from training.models.mixture import Recipe, fit_mixture

_WRITTEN_NUMBERS = 0.95
_ALONE = 0.5  # of the values differ: an identifier, not a word that customers share


@dataclass(frozen=True)
class TableJudgement:
    """What a flat table is worth.

    Attributes:
        customers, happened: rows, and how many of them have the outcome.
        columns: names of those that were used.
        left_out: column -> why it was not used.
        repeated: rows that equal an earlier row in all but the customer, and were kept in its fold; 0 where most rows
            have an equal, so that equality says nothing.
        metrics: of the probabilities of unseen customers: auc, average_precision, lifts, ece, brier, mean_prediction,
            base_rate; and auc_of_folds, the mean over the five folds, which is what is published of other models.
        auc: with its 95 % interval; None where it has none.
        grade: against the churn rate.
        probability: of each row, by a model that had not seen its customer, index as in the table.
    """

    customers: int
    happened: int
    columns: tuple[str, ...]
    left_out: dict[str, str]
    repeated: int
    metrics: dict[str, float]
    auc: Interval | None
    grade: Grade | None
    probability: pd.Series


def judge_table(
    table: pd.DataFrame,
    label: str,
    *,
    positive: object = None,
    customer: str | None = None,
    keep: tuple[str, ...] = (),
    seed: int = 7,
) -> TableJudgement:
    """Judge a table by five folds of customers, each predicted by a model that saw only the others.

    Args:
        label: the column that says what came; rows without it are left out.
        positive: the value that counts as the outcome; not needed for 1, true or yes.
        customer: the column of the customer; rows of one stay in one fold. Without it each row is a customer.
        keep: columns to use although they tell the outcome almost alone.

    Raises:
        UsageError: a column that is not there, or values of the label that do not fit.
        NotEnoughDataError: fewer than 20 customers of either outcome, or nothing to tell them by.
    """
    for name in [label, *([customer] if customer else []), *keep]:
        if name not in table.columns:
            raise UsageError(f"There is no column '{name}'.", where="table", fix=did_you_mean(name, map(str, table)))
    table = table.loc[table[label].notna()]
    happened = _outcome(table.loc[:, label], positive)
    inputs = table.drop(columns=[label, *([customer] if customer else [])])
    frame, left_out = _readable(inputs)
    groups, repeated = _groups(inputs, happened, None if customer is None else table.loc[:, customer])
    data = _rows(frame, happened, groups)
    check_outcomes(data, "Bring more rows, or say which value of the label counts as the outcome.")
    for name in [name for name in frame if name not in keep]:
        alone = auc_alone(frame.loc[:, name], happened)
        if alone >= LEAK:
            left_out[name] = f"tells the outcome almost alone (AUC {alone:.3f}): probably known only after it"
    columns = tuple(_column(name, frame.loc[:, name]) for name in frame if name not in left_out)
    if not columns:
        raise NotEnoughDataError(
            "No column is left to tell the outcome by.",
            where=f"table: {', '.join(left_out)}",
            fix="Bring more columns.",
        )
    recipe = Recipe(columns, seed)
    probability = out_of_fold(data, lambda rows: fit_mixture(rows, recipe).of(columns), purpose="judge")
    return TableJudgement(
        customers=len(data),
        happened=int(happened.sum()),
        columns=tuple(column.name for column in columns),
        left_out=left_out,
        repeated=repeated,
        metrics=ranking_metrics(probability, happened)
        | calibration_metrics(probability, happened)
        | {"auc_of_folds": _mean_auc(probability, happened, customer_folds(data, "judge"))},
        auc=auc_interval(probability, happened),
        grade=grade_churn(probability, happened, data.customers, {}, seed=seed),
        probability=pd.Series(probability, index=table.index, name="probability"),
    )


def _mean_auc(probability: Floats, happened: Floats, fold: np.ndarray) -> float:
    """The mean over the folds in which both outcomes occur."""
    both = [k for k in np.unique(fold) if 0 < happened[fold == k].mean() < 1]
    return float(np.mean([roc_auc_score(happened[fold == k], probability[fold == k]) for k in both]))


def _outcome(values: pd.Series, positive: object) -> Floats:
    found = list(values.unique())
    if positive is None:
        positive = next((one for one in found if str(one).strip().lower() in ("1", "1.0", "true", "yes")), None)
    chosen = values.astype(str) == str(positive)
    if len(found) > 2 and not chosen.any():
        raise UsageError(
            f"The label has {len(found)} values, none of which is '{positive}'.",
            where=f"table: {values.name}",
            fix="Say which value counts as the outcome.",
        )
    if positive is None:
        raise UsageError(
            f"Which of the values {', '.join(map(str, found[:5]))} counts as the outcome is not said.",
            where=f"table: {values.name}",
            fix="Say it; 1, true and yes need no word.",
        )
    return chosen.to_numpy(dtype="float64")


def _readable(inputs: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Numbers as float64, words as objects with None; and what cannot be used, with the reason."""
    columns: dict[str, pd.Series] = {}
    left_out: dict[str, str] = {}
    for name in map(str, inputs.columns):
        values = inputs.loc[:, name]
        if pd.api.types.is_datetime64_any_dtype(values):
            left_out[name] = "a moment: whether it lies before the outcome is not known"
            continue
        read = _numbers(values)
        if read is None:
            texts = values.astype("object").where(values.notna(), None)
            words = pd.Series(
                [None if v is None else str(v).strip() or None for v in texts], values.index, dtype="object"
            )
            counts = words.value_counts()
            if len(counts) > max(MOST_WORDS, _ALONE * len(words)):
                left_out[name] = f"{len(counts):,} different words in {len(words):,} rows: an identifier"
                continue
            read = words.where(words.isin(frequent_words(words.dropna())), None)
        if read.nunique(dropna=False) < 2:
            left_out[name] = "the same everywhere"
            continue
        columns[name] = read
    return pd.DataFrame(columns, index=inputs.index), left_out


def _numbers(values: pd.Series) -> pd.Series | None:
    """The column as float64; None where it holds words."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values.astype("float64")
    given = values.notna() & (values.astype(str).str.strip() != "")
    numbers = pd.Series(pd.to_numeric(values.where(given), errors="coerce"), values.index, dtype="float64")
    return numbers if numbers.notna().sum() >= max(1, _WRITTEN_NUMBERS * given.sum()) else None


def _groups(inputs: pd.DataFrame, happened: Floats, customers: pd.Series | None) -> tuple[pd.Index, int]:
    """The group of each row, and how many rows equal an earlier one: rows of one customer and equal rows belong
    together, and so does what these bring along."""
    values = inputs.astype("object").assign(_happened=happened).itertuples(index=False)
    same = pd.Series([_digest(repr(tuple(row))) for row in values], inputs.index)
    repeated = int(same.duplicated().sum())
    equal = pd.factorize(same)[0]
    if repeated > len(same) / 2:
        # The columns are coarse: customers who are not the same have equal rows.
        equal, repeated = np.arange(len(same)), 0
    whose = np.arange(len(inputs)) if customers is None else pd.factorize(customers.astype(str))[0]
    links = coo_array(
        (np.ones(len(inputs)), (whose, equal + whose.max() + 1)), shape=[whose.max() + equal.max() + 2] * 2
    )
    _, group = connected_components(links, directed=False)
    # Named by what is in it, so that folds do not depend on the order of the rows.
    own = same + same.groupby(same.to_numpy()).cumcount().astype(str)
    names = own.groupby(group[whose]).transform("min")
    return pd.Index(names.to_numpy(), name="customer_id"), repeated


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _rows(frame: pd.DataFrame, happened: Floats, groups: pd.Index) -> TrainingSet:
    return TrainingSet(
        frame.set_axis(groups),
        np.full(len(frame), np.datetime64("1970-01-01", "us")),
        happened,
        np.full(len(frame), np.nan),
        np.ones(len(frame), dtype=bool),
    )


def _column(name: str, values: pd.Series) -> FeatureColumn:
    is_word = values.dtype == object
    return FeatureColumn(
        name=name,
        group="table",
        phrase=name,
        unit="",
        version=1,
        categories=tuple(sorted(values.dropna().unique())) if is_word else None,
        typical=None if is_word else float(values.median()),
    )
