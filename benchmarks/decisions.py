"""What does a decision among twenty actions cost: for one customer with the log on disk, and for many in a batch?"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from benchmarks.measure import Figure, alternating, medians, percentile
from kernel.uplift_predictor import Effects, EffectStatus
from serving.decisioning.belief import Belief, LearnedBelief
from serving.decisioning.catalogue import Catalogue, load_catalogue
from serving.decisioning.columns import Bools, Columns, Floats, Kind
from serving.decisioning.decide import decide
from serving.decisioning.decision import Decision
from serving.decisioning.policy import PolicySettings, choice_probabilities, greedy_choice
from serving.feedback.store import DecisionStore

if TYPE_CHECKING:
    from benchmarks.data import Bench

ACTIONS = 20
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = dict.fromkeys(("frequency", "spend_90d", "campaigns_received_90d"), Kind.NUMBER)
SETTINGS = PolicySettings()
INCENTIVE = 1.5
_CHUNK = 10_000
_DRAWN = 64  # customers whose draws the bare baseline holds at a time: five megabytes
_ACTION = """
[[action]]
id = "a{number}"
label = "Action {number}"
group = "g{group}"
channels = ["mail"]
eligibility = "frequency >= {least}"
applicability = "churn_band IN ('medium', 'high') OR spend_90d > {spend}"
suitability = "campaigns_received_90d < {contacts}"
outcome = {{ name = "buy", window_days = 30 }}
cost = {{ contact = {contact}, incentive_if_converted = {incentive} }}
value = {{ {value} }}
prior = {{ rate = 0.02, strength = 60 }}
"""


@dataclass(frozen=True)
class Customers:
    """Made-up customers: what the rules read, and what is believed of each action's effect on each of them."""

    frame: pd.DataFrame
    mean: Floats
    error: Floats

    def part(self, rows: slice) -> Customers:
        """Some of them."""
        return Customers(self.frame.iloc[rows], self.mean[rows], self.error[rows])

    @property
    def beliefs(self) -> Mapping[str, Belief]:
        """By action."""
        return {
            f"a{number}": LearnedBelief(Effects(self.mean[:, number], self.error[:, number], EffectStatus.LEARNING))
            for number in range(ACTIONS)
        }


def figures(bench: Bench, *, decisions: int = 2000, customers: int = 100_000, repetitions: int = 3) -> Iterator[Figure]:
    """Milliseconds of one decision with its log; seconds of a batch and of its rules."""
    folder = bench.folder / "decisions"
    folder.mkdir()
    catalogue = made_up_catalogue(folder)
    yield from _one_by_one(catalogue, made_up(decisions, seed=7), folder)
    yield from _in_batch(catalogue, made_up(customers, seed=8), repetitions)


def made_up_catalogue(folder: Path) -> Catalogue:
    """Twenty actions with sixty clauses, a third of them worth a share of the lifetime value."""
    tables = [
        _ACTION.format(
            number=number,
            group=number % 4,
            least=number % 6,
            spend=15 * number,
            contacts=4 + number % 3,
            contact=round(0.3 + 0.05 * number, 2),
            incentive=INCENTIVE,
            value="lifetime_value_share = 0.2" if number % 3 == 0 else "margin = 35.0",
        )
        for number in range(ACTIONS)
    ]
    file = folder / "actions.toml"
    file.write_text("".join(tables), encoding="utf-8")
    return load_catalogue(file, FEATURES)


def made_up(customers: int, seed: int) -> Customers:
    """Customers of whom some miss a value, and effects that are below what they cost for many."""
    chance = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "customer_id": [f"customer-{number:06d}" for number in range(customers)],
            "status": "scored",
            "churn_band": chance.choice(["low", "medium", "high"], customers),
            "lifetime_value": chance.gamma(1.0, 280.0, customers),
            "frequency": chance.integers(0, 30, customers).astype(np.float64),
            "spend_90d": np.where(chance.random(customers) < 0.1, np.nan, chance.gamma(1.0, 100.0, customers)),
            "campaigns_received_90d": chance.integers(0, 9, customers).astype(np.float64),
        }
    )
    mean = chance.normal(0.03, 0.02, (customers, ACTIONS))
    return Customers(frame, mean, np.full(mean.shape, 0.02))


def decided(catalogue: Catalogue, of: Customers) -> list[Decision]:
    """What is measured."""
    return decide(catalogue, of.frame, as_of=AS_OF, settings=SETTINGS, currency="EUR", beliefs=of.beliefs)


def _one_by_one(catalogue: Catalogue, of: Customers, folder: Path) -> Iterator[Figure]:
    parts = [of.part(slice(row, row + 1)) for row in range(len(of.frame))]
    contents = [*map(TypeAdapter(Decision).dump_json, decided(catalogue, of))]
    store, bare = DecisionStore(f"sqlite:///{folder / 'decisions.db'}"), BareCommit(folder / "bare.db")
    bare_commit = _in_turn([content.decode() for content in contents], bare.write)
    alone: list[float] = []

    def ours(part: Customers) -> None:
        store.log_decisions(decided(catalogue, part), AS_OF)

    try:
        clock, processor = alternating(parts, ours, bare_commit)
        alone = alternating(parts, lambda part: decided(catalogue, part), lambda _: None)[0][0]
        check_log(store, catalogue, of)
    finally:
        store.close()
        bare.close()
    for label, share in (("p50", 0.5), ("p99", 0.99)):
        busy, without = percentile(processor[0], share), percentile(alone, share)
        yield Figure(
            "decisions",
            f"decide among {ACTIONS} actions for one customer, and keep it on disk: {label}",
            "bare sqlite3, a commit of the same bytes",
            *(percentile(taken, share) for taken in clock),
            unit="ms",
            note=f"{3 * ACTIONS} clauses; {busy:.2g} ms of processor time; without the log {without:.2g} ms",
        )


def _in_batch(catalogue: Catalogue, of: Customers, repetitions: int) -> Iterator[Figure]:
    chunks = [of.part(slice(start, start + _CHUNK)) for start in range(0, len(of.frame), _CHUNK)]
    first = of.part(slice(0, 500))
    check_probabilities(decided(catalogue, first), first)
    open_to = [eligible(catalogue, chunk) for chunk in chunks]
    ours, theirs = medians(
        [
            lambda: [len(decided(catalogue, chunk)) for chunk in chunks],
            lambda: [best_in_draws(chunk, open_actions) for chunk, open_actions in zip(chunks, open_to, strict=True)],
        ],
        repetitions,
    )
    size = f"{len(of.frame):,} customers, {ACTIONS} actions"
    yield Figure(
        "decisions",
        f"decide for {size}",
        "numpy alone: which action is best in each of 512 draws",
        ours,
        theirs,
        "s",
        note="ours also looks at rules, draws, and writes down every candidate with its reasons",
    )
    with duckdb.connect() as connection:
        rules, against = _rules(catalogue, of.frame), duckdb_rules(catalogue, of.frame, connection)
        np.testing.assert_array_equal(rules(), against())
        ours, theirs = medians([rules, against], repetitions)
    what = f"the rules alone: {3 * ACTIONS} clauses, {size}"
    yield Figure("decisions", what, "DuckDB, one statement over the same frame", ours, theirs, "s")


def eligible(catalogue: Catalogue, of: Customers) -> Bools:
    """Which actions pass their rules, shape (customers, actions)."""
    columns = Columns(of.frame)
    passed = [[rule.evaluate(columns).passed for rule in rules.values()] for rules in catalogue.rules.values()]
    return np.stack([np.logical_and.reduce(of_action) for of_action in passed], axis=1)


def _rules(catalogue: Catalogue, frame: pd.DataFrame) -> Callable[[], Bools]:
    nothing = np.empty((len(frame), ACTIONS))
    return lambda: eligible(catalogue, Customers(frame, nothing, nothing))


def duckdb_rules(
    catalogue: Catalogue, frame: pd.DataFrame, connection: duckdb.DuckDBPyConnection
) -> Callable[[], Bools]:
    """The same question in SQL."""
    connection.register("customers", frame)
    conditions = [
        " AND ".join(f"coalesce(({rule.text}), FALSE)" for rule in rules.values()) for rules in catalogue.rules.values()
    ]
    query = f"SELECT {', '.join(f'{condition} AS a{i}' for i, condition in enumerate(conditions))} FROM customers"
    return lambda: np.stack([*connection.execute(query).fetchnumpy().values()], axis=1)


def best_in_draws(of: Customers, open_actions: Bools) -> Floats:
    """The share of draws in which doing nothing or each action is best, by arithmetic on whole arrays and nothing
    else; shape (customers, 1 + actions)."""
    noise = np.stack([belief.draws(action, SETTINGS.draws, SETTINGS.salt).noise for action, belief in _one(of)])
    value = np.where(np.arange(ACTIONS) % 3 == 0, 0.2 * of.frame["lifetime_value"].to_numpy()[:, None], 35.0)
    contact = np.round(0.3 + 0.05 * np.arange(ACTIONS), 2)[:, None]
    shares = np.empty((len(of.frame), ACTIONS + 1))
    for start in range(0, len(shares), _DRAWN):
        rows = slice(start, start + _DRAWN)
        effect = of.mean[rows, :, None] + of.error[rows, :, None] * noise
        worth = effect * value[rows, :, None] - contact - effect * INCENTIVE
        worth[~open_actions[rows]] = -np.inf
        winner = np.where(worth.max(axis=1) > 0, worth.argmax(axis=1) + 1, 0)
        shares[rows] = (winner[:, :, None] == np.arange(ACTIONS + 1)).mean(axis=1)
    return shares


def _one(of: Customers) -> Sequence[tuple[str, Belief]]:
    return [*of.part(slice(0, 1)).beliefs.items()]


def check_probabilities(decisions: Sequence[Decision], of: Customers) -> None:
    """Raise AssertionError unless the recorded probabilities are those of the bare arithmetic, but for the last bits
    of one draw in 512."""
    candidates = [decision.candidates[1:] for decision in decisions]
    open_actions = np.array([[candidate.eligible for candidate in row] for row in candidates])
    value = np.array([[candidate.expected_incremental_value for candidate in row] for row in candidates])
    found = np.array([[candidate.probability for candidate in decision.candidates] for decision in decisions])
    wanted = choice_probabilities(
        greedy_choice(value, open_actions), best_in_draws(of, open_actions), open_actions, SETTINGS
    )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1.01 * SETTINGS.thompson / SETTINGS.draws)


def check_log(store: DecisionStore, catalogue: Catalogue, of: Customers) -> None:
    """Raise AssertionError unless the store has each decision as the batch makes it."""
    assert store.counts().decisions == len(of.frame)
    for decision in decided(catalogue, of):
        assert store.decision(decision.decision_id) == decision


def _in_turn(contents: Sequence[str], write: Callable[[str], None]) -> Callable[[object], None]:
    left = iter(contents)
    return lambda _: write(next(left))


class BareCommit:
    """The driver alone: a row with the same bytes, on disk when the commit returns, as in the log."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE decisions (content TEXT)")

    def write(self, content: str) -> None:
        """One transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO decisions VALUES (?)", (content,))
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()
