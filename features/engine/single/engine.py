"""Features of one customer whose rows are at hand: a profile in a request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features.engine.compile import feature_table
from features.engine.definition import FeatureSet
from features.engine.scope import ACCOUNT_SCHEMA, SCHEMAS
from features.engine.single.program import Program
from features.engine.single.rows import Columns, customer_row, empty, event_table


class SingleCustomer:
    """The features of a project, compiled for one customer at a time; any number of threads may use it.

    Raises:
        NotCompiledError: a definition uses an operation that only the engines of tables know.
    """

    def __init__(self, features: FeatureSet, attributes: Mapping[str, str], timezone: str) -> None:
        self._attributes = dict(attributes)
        self._timezone = timezone
        self._program = Program(feature_table(features, self._attributes, accounts=True))
        self._words = set(features.words)
        self._names = features.names

    def features(
        self, customer_id: str, customer: Mapping[str, Any], events: Mapping[str, Columns], as_of: datetime
    ) -> pd.DataFrame:
        """One row, equal to the bit to what :func:`features.engine.build.build_features` gives for the same rows.

        Args:
            customer: created_at and the attributes.
            events: semantic table -> its columns, one value per row.
            as_of: the moment of knowledge.

        Raises:
            DataError: rows that break the contract.
        """
        tables = {f"scoped_{name}": event_table(name, events.get(name, {}), self._timezone, as_of) for name in SCHEMAS}
        # What the account's other customers did is not in a profile: unknown, rather than a part taken for the whole.
        tables["scoped_account_lines"] = {name: empty(kind) for name, kind in ACCOUNT_SCHEMA.items()}
        values = self._program.run(tables, customer_row(customer, self._attributes, as_of))
        index = pd.Index([customer_id], name="customer_id", dtype="object")
        numbers = [np.nan if v is None or n in self._words else v for n, v in zip(self._names, values, strict=True)]
        frame = pd.DataFrame(np.array([numbers], dtype=np.float64), columns=pd.Index(self._names), index=index)
        if not self._words:
            return frame
        found = {
            n: pd.Series([v], index=index, dtype="object")
            for n, v in zip(self._names, values, strict=True)
            if n in self._words
        }
        return frame.assign(**found)
