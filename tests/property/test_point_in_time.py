"""Nothing that could not be known changes a value; no order of rows does; a request gives what a file gives."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from tests.histories import (
    AS_OF,
    ATTRIBUTES,
    CUSTOMERS,
    Contract,
    Deed,
    History,
    Line,
    Person,
    bits,
    histories,
    unknown_contracts,
    unknown_rows,
)
from tests.projects import TinyProject

FEATURES = feature_set(ATTRIBUTES)
# Not shrunk: an example takes a quarter of a second, and a small failing history would be minutes of search away.
SHORT = settings(
    max_examples=8,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)

FILES = {"people": "customers", "lines": "transactions", "deeds": "activities", "contracts": "subscriptions"}
MAPPED = """
[sources]
people = "people.parquet"
lines = "lines.parquet"
deeds = "deeds.parquet"
contracts = "contracts.parquet"

[tables.customers]
from = "people"
columns = { customer_id = "customer_id", created_at = "created_at", account_id = "account_id" }
attributes = { city = "city", age = "age" }

[tables.transactions]
from = "lines"

[tables.transactions.columns]
customer_id = "customer_id"
transaction_id = "transaction_id"
event_time = "event_time"
ingested_at = "ingested_at"
amount = "amount"
discount = "discount"
product_id = "product_id"
category = "category"
channel = "channel"
quantity = "quantity"

[tables.activities]
from = "deeds"

[tables.activities.columns]
customer_id = "customer_id"
event_time = "event_time"
ingested_at = "ingested_at"
kind = "kind"
detail = "detail"
value = "value"
sentiment = "sentiment"

[tables.subscriptions]
from = "contracts"

[tables.subscriptions.columns]
customer_id = "customer_id"
subscription_id = "subscription_id"
event_time = "event_time"
ingested_at = "ingested_at"
start_date = "start_date"
end_date = "end_date"
amount = "amount"
recurrence_months = "recurrence_months"
plan = "plan"
is_recurring = "is_recurring"
"""


def built(history: History, as_of: datetime = AS_OF) -> pd.DataFrame:
    profiles = profiles_from_frames(history.frames(), ATTRIBUTES, history.timezone)
    return build_features(profiles, FEATURES, as_of)


@SHORT
@given(histories(), unknown_rows(), unknown_contracts())
def test_what_could_not_be_known_changes_nothing(
    history: History, unknown: tuple[tuple[Line, ...], tuple[Deed, ...]], contracts: tuple[Contract, ...]
) -> None:
    lines, deeds = unknown
    more = replace(
        history,
        lines=lines[::2] + history.lines + lines[1::2],
        deeds=history.deeds + deeds,
        contracts=history.contracts + contracts,
    )
    assert bits(built(more)) == bits(built(history))


@SHORT
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(history: History, chance: random.Random) -> None:
    shuffled = replace(
        history,
        people=tuple(chance.sample(history.people, len(history.people))),
        lines=tuple(chance.sample(history.lines, len(history.lines))),
        deeds=tuple(chance.sample(history.deeds, len(history.deeds))),
        contracts=tuple(chance.sample(history.contracts, len(history.contracts))),
    )
    assert bits(built(shuffled)) == bits(built(history))


@SHORT
@given(histories())
def test_one_customer_alone_has_the_same_values_as_among_others(history: History) -> None:
    # Account features are left out: by their meaning they look at the other customers of the account.
    own = [feature.name for feature in FEATURES if feature.group != "accounts"]
    assert 10 < len(FEATURES) - len(own) < 20
    together = built(history)[own]
    name = CUSTOMERS[0]
    alone = History(
        tuple(person for person in history.people if person.customer_id == name),
        tuple(line for line in history.lines if line.customer_id == name),
        tuple(deed for deed in history.deeds if deed.customer_id == name),
        history.timezone,
        tuple(contract for contract in history.contracts if contract.customer_id == name),
    )
    assert bits(built(alone)[own]) == bits(together.loc[together.index == name])


@SHORT
@given(histories(), st.sampled_from((timedelta(hours=3), timedelta(days=400))))
def test_a_request_gives_what_a_file_gives(history: History, later: timedelta) -> None:
    anchor = Line("anna", "r0", AS_OF, AS_OF, Decimal(3))
    history = replace(history, lines=(*history.lines, anchor))  # a file of transactions may not be empty
    frames = history.frames()
    with tempfile.TemporaryDirectory() as folder:
        project = TinyProject(Path(folder))
        for file, table in FILES.items():
            _written(frames[table], project.folder / f"{file}.parquet")
        stored = project.profiles(MAPPED, history.timezone)
        # Parquet knows no type for a column without any value; the project then sees a word.
        assert set(stored.attributes) == set(ATTRIBUTES)
        requested = profiles_from_frames(frames, stored.attributes, history.timezone)
        features = feature_set(stored.attributes)
        for as_of in (AS_OF, AS_OF + later):
            from_file, from_request = (build_features(p, features, as_of) for p in (stored, requested))
            assert bits(from_request) == bits(from_file)
        assert requested.fingerprint(AS_OF) == stored.fingerprint(AS_OF)


def _written(frame: pd.DataFrame, file: Path) -> None:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("frame", frame)
        connection.execute(f"COPY frame TO '{file}' (FORMAT parquet)")


def test_a_naive_moment_of_knowledge_is_utc() -> None:
    moment = datetime(2024, 3, 1, tzinfo=UTC)
    line = Line("anna", "r1", moment - timedelta(hours=1), moment, Decimal(1))
    history = History((Person("anna"),), (line,), ())
    assert built(history, moment).at["anna", "net_spend"] == 1
    assert bits(built(history, moment.replace(tzinfo=None))) == bits(built(history, moment))
    assert built(history, moment - timedelta(microseconds=1)).at["anna", "net_spend"] == 0
