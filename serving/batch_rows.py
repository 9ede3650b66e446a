"""The columns of the scores file, scores and decisions as its rows, and rows as lines of CSV."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from kernel.types import FURTHEST_ORDER_DAYS
from serving.answers import AnswerContext, recommended_actions
from serving.decisioning.decision import Decision
from serving.scoring.scorer import NUMBERS, Scores

_MOMENT = pa.timestamp("us", tz="UTC")
_REASON = pa.struct(
    {
        "code": pa.string(),
        "text": pa.string(),
        "value": pa.float64(),
        "effect": pa.float64(),
        "group": pa.string(),
        "usual": pa.float64(),
        "typical": pa.float64(),
    }  # type: ignore[arg-type]
)
_GROUP = pa.struct({"group": pa.string(), "label": pa.string(), "effect": pa.float64()})  # type: ignore[arg-type]
_ACTION = pa.struct(
    {
        "action": pa.string(),
        "label": pa.string(),
        "rank": pa.int64(),
        "expected_value": pa.float64(),
        "expected_value_low": pa.float64(),
        "expected_value_high": pa.float64(),
        "expected_margin": pa.float64(),
        "contact_cost": pa.float64(),
        "incentive_cost": pa.float64(),
        "lever_effect": pa.float64(),
        "fatigue_cost": pa.float64(),
        "price": pa.float64(),
        "probability": pa.float64(),
        "explanation": pa.string(),
        "what_would_change": pa.string(),
        "cost": pa.float64(),
        "uplift": pa.float64(),
        "channel": pa.string(),
        "status": pa.string(),
    }  # type: ignore[arg-type]
)
SCHEMA = pa.schema(
    {
        "customer_id": pa.string(),
        "as_of": _MOMENT,
        "scored_at": _MOMENT,
        "churn_probability": pa.float64(),
        "churn_percentile": pa.float64(),
        "churn_band": pa.string(),
        "churn_reasons": pa.list_(_REASON),
        "probability_alive": pa.float64(),
        "expected_purchases": pa.float64(),
        "lifetime_value": pa.float64(),
        "value_percentile": pa.float64(),
        "is_high_value": pa.bool_(),
        "recommended_actions": pa.list_(_ACTION),
        "status": pa.string(),
        "churn_model": pa.string(),
        "value_model": pa.string(),
        "policy": pa.string(),
        "churn_probability_low": pa.float64(),
        "churn_probability_high": pa.float64(),
        "churn_horizon_days": pa.int64(),
        "lifetime_value_low": pa.float64(),
        "lifetime_value_high": pa.float64(),
        "value_horizon_days": pa.int64(),
        "currency": pa.string(),
        "churn_groups": pa.list_(_GROUP),
        "churn_base": pa.float64(),
        "churn_score": pa.int64(),
        "churn_medium_from": pa.float64(),
        "churn_high_from": pa.float64(),
        "value_1m": pa.float64(),
        "value_1m_low": pa.float64(),
        "value_1m_high": pa.float64(),
        "value_3m": pa.float64(),
        "value_3m_low": pa.float64(),
        "value_3m_high": pa.float64(),
        "value_6m": pa.float64(),
        "value_6m_low": pa.float64(),
        "value_6m_high": pa.float64(),
        "value_12m": pa.float64(),
        "value_12m_low": pa.float64(),
        "value_12m_high": pa.float64(),
        "value_24m": pa.float64(),
        "value_24m_low": pa.float64(),
        "value_24m_high": pa.float64(),
        "value_shown_months": pa.int64(),
        "value_discounted": pa.float64(),
        "value_margin": pa.float64(),
        "value_at_risk": pa.float64(),
        "historic_value": pa.float64(),
        "expected_order_value": pa.float64(),
        "next_order_date": pa.date32(),
        "order_overdue_days": pa.float64(),
    }  # type: ignore[arg-type]
)
"""The file's columns; later versions add some and rename none (docs/reference/scores.md)."""


def to_table(scores: Scores, decisions: Sequence[Decision | None], context: AnswerContext) -> pa.Table:
    """Scores and decisions as rows of the scores file: what ``serving.answers.customer_insight`` says of each, made a
    column at a time."""
    rows, numbers = len(scores), {name: scores.values[:, place] for place, name in enumerate(NUMBERS)}
    columns: dict[str, Any] = {name: pa.array(values, from_pandas=True) for name, values in numbers.items()}
    columns |= {
        "customer_id": scores.customer_ids,
        "as_of": [scores.as_of] * rows,
        "scored_at": [scores.scored_at] * rows,
        "churn_score": pa.array(np.rint(100 * numbers["churn_probability"]), from_pandas=True),
        "churn_band": [None if band is None else band.value for band in scores.band],
        "churn_reasons": _listed(_REASON, scores.reasons),
        "churn_groups": _listed(_GROUP, scores.groups),
        "churn_base": pa.array(scores.base, from_pandas=True),
        "is_high_value": list(scores.high_value),
        "recommended_actions": [recommended_actions(decision) for decision in decisions],
        "status": [str(status) for status in scores.status],
        "churn_model": [scores.churn_model] * rows,
        "value_model": [scores.value_model] * rows,
        "policy": [context.versions.policy if one is None else one.policy_version for one in decisions],
        "churn_horizon_days": [context.churn_horizon_days] * rows,
        "value_horizon_days": [context.horizon_days] * rows,
        "currency": [context.currency] * rows,
        "churn_medium_from": [context.churn_bands[0]] * rows,
        "churn_high_from": [context.churn_bands[1]] * rows,
        "value_shown_months": [context.value_shown_months] * rows,
        "next_order_date": _dates(scores),
    }
    arrays = [_array(columns[field.name], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _dates(scores: Scores) -> pa.Array:
    """``Score.next_order_date`` of every row."""
    days = scores.values[:, NUMBERS.index("next_order_days")]
    usable = days <= FURTHEST_ORDER_DAYS  # NaN is not
    wait = np.rint(np.where(usable, days, 0.0) * 86_400_000_000)  # as timedelta rounds
    moments = np.datetime64(scores.as_of.astimezone(UTC).replace(tzinfo=None), "us") + wait.astype("timedelta64[us]")
    return pa.array(moments.astype("datetime64[D]"), pa.date32(), mask=~usable)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


def _listed(kind: pa.StructType, items: Sequence[Sequence[Any]]) -> pa.Array:
    """A list of objects for each row, as lists of structs: one array for each of their fields."""
    flat = [one for row in items for one in row]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in items], dtype=np.int32)]).astype(np.int32)
    fields = [pa.array([_told(getattr(one, field.name), field.type) for one in flat], field.type) for field in kind]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(fields, fields=list(kind)))


def _told(value: Any, kind: pa.DataType) -> Any:
    # A column has one type: an attribute's word stands in the reason's text.
    return None if isinstance(value, str) and kind == pa.float64() else value


def csv_lines(table: pa.Table, null: str = "") -> str:
    """Rows as lines of CSV: lists as JSON, numbers with all their digits, ``null`` for what is not there."""
    frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True)  # not 34.0 beside a null
    for name, kind in zip(table.schema.names, table.schema.types, strict=True):
        if pa.types.is_list(kind):
            frame[name] = [
                orjson.dumps(list(items), option=orjson.OPT_SERIALIZE_NUMPY).decode() for items in frame[name]
            ]
    return frame.to_csv(index=False, header=False, na_rep=null)
