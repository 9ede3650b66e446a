"""How long contracts have lasted: made-up contracts that can be counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.contract.profiles import profiles_from_frames
from kernel.artefacts import ContractParameters
from tests.histories import AS_OF as RANDOM_AS_OF
from tests.histories import (
    ATTRIBUTES,
    Contract,
    History,
    contract_key,
    dense_history,
    histories,
    unknown_contracts,
    unknown_rows,
)
from training.labels.contracts import MONTH_DAYS, ContractLives, contract_lives
from training.models.value_sbg import contract_parameters

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
TODAY = AS_OF.date()
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def contract(
    name: str,
    months: float,
    *,
    lasts: float | None = None,
    recurrence: float | None = 1.0,
    told: datetime = LONG_AGO,
    known: datetime | None = None,
) -> Contract:
    """A contract that began so many months of 30.4375 days ago, rounded to days, and ends after ``lasts`` months."""
    start = TODAY - timedelta(days=round(months * MONTH_DAYS))
    end = None if lasts is None else start + timedelta(days=round(lasts * MONTH_DAYS))
    return Contract(name, name, told, known or told, start, end, recurrence_months=recurrence)


def lives(
    *rows: Contract,
    reasons: dict[str, str] | None = None,
    competing: tuple[str, ...] = (),
    as_of: datetime = AS_OF,
    timezone: str = "UTC",
    grace_days: int = 0,
) -> ContractLives:
    frames = History((), (), (), contracts=rows).frames()
    if reasons is not None:
        told = frames["subscriptions"]["subscription_id"].map(reasons)
        frames["subscriptions"]["end_reason"] = told.astype("object").where(told.notna(), None)
    with profiles_from_frames(frames, {}, timezone) as profiles:
        return contract_lives(profiles, as_of, competing, grace_days=grace_days)


def counted(found: ContractLives) -> list[tuple[int, float]]:
    """(renewals, churned) of every contract, sorted."""
    assert list(found.rows.columns) == ["renewals", "churned"]
    return sorted(found.rows.itertuples(index=False, name=None))


class TestARunningContract:
    @pytest.mark.parametrize(("months", "renewals"), [(0.1, 0), (0.9, 0), (1.1, 1), (5.9, 5), (6.1, 6), (36.5, 36)])
    def test_has_been_renewed_once_a_full_period(self, months: float, renewals: int) -> None:
        assert counted(lives(contract("a", months))) == [(renewals, 0.0)]

    def test_that_will_end_is_running(self) -> None:
        assert counted(lives(contract("a", 6.5, lasts=12))) == [(6, 0.0)]

    def test_that_began_today_or_later_is_none(self) -> None:
        assert counted(lives(contract("a", 0.0), contract("b", -2.0))) == []
        assert counted(lives(replace(contract("a", 0.0), start_date=TODAY - timedelta(days=1)))) == [(0, 0.0)]


class TestAContractThatEnded:
    @pytest.mark.parametrize(("lasts", "renewals"), [(1, 0), (2, 1), (3, 2), (12, 11), (0.3, 0)])
    def test_after_n_periods_was_renewed_all_but_the_last_time(self, lasts: float, renewals: int) -> None:
        assert counted(lives(contract("a", 30, lasts=lasts))) == [(renewals, 1.0)]

    def test_today_has_ended(self) -> None:
        ends_today = replace(contract("a", 4), end_date=TODAY)
        assert counted(lives(ends_today)) == [(3, 1.0)]
        assert counted(lives(replace(ends_today, end_date=TODAY + timedelta(days=1)))) == [(4, 0.0)]

    def test_on_the_day_it_began_or_before_is_none(self) -> None:
        start = contract("a", 5).start_date
        assert counted(lives(replace(contract("a", 5), end_date=start))) == []
        assert counted(lives(replace(contract("a", 5), end_date=start - timedelta(days=9)))) == []

    def test_for_a_competing_reason_was_watched_until_then(self) -> None:
        rows = [contract("dies", 20, lasts=6.2), contract("leaves", 20, lasts=6), contract("silent", 20, lasts=3)]
        reasons = {"dies": "death", "leaves": "cancelled"}
        assert counted(lives(*rows, reasons=reasons, competing=("death", "claim"))) == [(2, 1.0), (5, 1.0), (6, 0.0)]
        assert counted(lives(*rows, reasons=reasons)) == [(2, 1.0), (5, 1.0), (5, 1.0)]

    def test_which_reasons_compete_matters_only_for_who_has_ended(self) -> None:
        found = lives(contract("a", 6.5, lasts=9), reasons={"a": "death"}, competing=("death",))
        assert counted(found) == [(6, 0.0)]


class TestWhatWasKnown:
    def test_an_end_that_became_known_later_is_no_end(self) -> None:
        first = contract("a", 6.5)
        ends = replace(contract("a", 6.5, lasts=5), event_time=AS_OF - timedelta(days=30))
        for known, wanted in (
            (AS_OF - timedelta(days=1), [(4, 1.0)]),
            (AS_OF, [(4, 1.0)]),
            (AS_OF + timedelta(seconds=1), [(6, 0.0)]),
        ):
            assert counted(lives(first, replace(ends, ingested_at=known))) == wanted

    def test_a_version_of_this_very_moment_is_not_known_yet(self) -> None:
        ends = contract("a", 6.5, lasts=5)
        before, now = (replace(ends, event_time=at, ingested_at=at) for at in (AS_OF - timedelta(seconds=1), AS_OF))
        assert counted(lives(contract("a", 6.5), before)) == [(4, 1.0)]
        assert counted(lives(contract("a", 6.5), now)) == [(6, 0.0)]

    def test_a_contract_of_which_nothing_was_known_is_none(self) -> None:
        later = AS_OF + timedelta(days=3)
        assert counted(lives(contract("a", 6.5), contract("b", 9.5, told=later))) == [(6, 0.0)]
        assert counted(lives(contract("a", 6.5), contract("b", 9.5, known=later))) == [(6, 0.0)]

    def test_the_newest_version_counts_in_whatever_order_they_come(self) -> None:
        versions = [
            contract("a", 12.5),
            replace(contract("a", 12.5, lasts=6), event_time=LONG_AGO + timedelta(days=900)),
            replace(contract("a", 12.5, lasts=24), event_time=LONG_AGO + timedelta(days=950)),
        ]
        for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
            assert counted(lives(*(versions[i] for i in order))) == [(12, 0.0)]
        assert counted(lives(*versions[:2])) == [(5, 1.0)]

    def test_contracts_of_one_customer_count_each(self) -> None:
        two = [replace(contract(name, months), customer_id="anna") for name, months in (("s1", 3.5), ("s2", 8.5))]
        assert counted(lives(*two)) == [(3, 0.0), (8, 0.0)]

    def test_the_day_is_that_of_the_projects_calendar(self) -> None:
        # Midnight of 2024-03-01 UTC is still the last day of February in New York, and midday of March in Auckland.
        rows = [replace(contract("a", 4), end_date=TODAY)]
        assert counted(lives(*rows, timezone="America/New_York"))[0][1] == 0.0
        assert counted(lives(*rows, timezone="Pacific/Auckland")) == [(3, 1.0)]


class TestThePeriod:
    @pytest.mark.parametrize(("recurrence", "days"), [(1.0, 30.4375), (3.0, 91.3125), (12.0, 365.25), (None, 30.4375)])
    def test_comes_from_the_recurrence(self, recurrence: float | None, days: float) -> None:
        found = lives(contract("a", 40, recurrence=recurrence), contract("b", 40, lasts=36, recurrence=recurrence))
        assert found.days_per_period == days
        periods = days / MONTH_DAYS
        assert counted(found) == sorted([(int(40 / periods), 0.0), (int(36 / periods) - 1, 1.0)])

    def test_is_that_of_most_contracts(self) -> None:
        yearly = [contract(f"y{i}", 30, recurrence=12.0) for i in range(3)]
        monthly = [contract(f"m{i}", 30, recurrence=1.0) for i in range(2)]
        assert lives(*yearly, *monthly).days_per_period == 365.25
        assert lives(*yearly[:1], *monthly).days_per_period == 30.4375

    def test_is_a_month_where_there_is_no_contract(self) -> None:
        found = lives()
        assert found.days_per_period == MONTH_DAYS
        assert counted(found) == []


class TestTheRetentionModel:
    def test_too_few_that_ended_give_no_model(self) -> None:
        nine = [contract(f"c{i}", 20, lasts=i + 1) for i in range(9)]
        running = [contract(f"r{i}", 20) for i in range(50)]
        assert contract_parameters(lives(*nine, *running)) is None

    def test_no_contract_gives_no_model(self) -> None:
        assert contract_parameters(lives()) is None

    def test_finds_the_share_that_leaves(self) -> None:
        """Of 400 contracts a quarter leaves at every occasion, all customers alike."""
        left, rows = 400, list[Contract]()
        for month in range(1, 13):
            leaving = left // 4
            rows += [contract(f"{month}-{i}", 12.5, lasts=month) for i in range(leaving)]
            left -= leaving
        rows += [contract(f"stays-{i}", 12.5) for i in range(left)]
        found = contract_parameters(lives(*rows))
        assert isinstance(found, ContractParameters)
        assert found.days_per_period == MONTH_DAYS
        assert found.alpha / (found.alpha + found.beta) == pytest.approx(0.25, abs=0.01)


def bits(history: History, as_of: datetime = RANDOM_AS_OF) -> tuple[float, list[tuple[int, float]]]:
    with profiles_from_frames(history.frames(), ATTRIBUTES, history.timezone) as profiles:
        found = contract_lives(profiles, as_of, ("death",))
    return found.days_per_period, counted(found)


@settings(
    max_examples=8,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(histories(), unknown_rows(), unknown_contracts(), st.randoms(use_true_random=False))
def test_what_could_not_be_known_changes_nothing(
    history: History, unknown: tuple[tuple, tuple], contracts: tuple[Contract, ...], chance
) -> None:
    known = {contract_key(row) for row in history.contracts}
    more = [*history.contracts, *(row for row in contracts if contract_key(row) not in known)]
    chance.shuffle(more)
    other = replace(history, lines=history.lines + unknown[0], deeds=history.deeds + unknown[1], contracts=tuple(more))
    assert bits(other) == bits(history)


def by_hand(history: History) -> list[tuple[str, date, date | None]]:
    """Customer, start and end of the newest known version of each contract, in plain Python."""
    newest: dict[str, Contract] = {}
    for row in sorted(history.contracts, key=lambda row: row.event_time):
        if row.event_time < RANDOM_AS_OF and row.ingested_at <= RANDOM_AS_OF:
            newest[row.subscription_id] = row
    return [(row.customer_id, row.start_date, row.end_date) for row in newest.values()]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_dense_history_is_what_a_loop_over_its_rows_finds(seed: int) -> None:
    history = dense_history(seed, "UTC")
    period, found = bits(history)
    wanted: list[tuple[int, float]] = []
    today = RANDOM_AS_OF.date()
    contracts = [one for one in by_hand(history) if one[1] < today and (one[2] is None or one[2] > one[1])]
    for customer, start, end in contracts:
        others = [one for one in contracts if one[0] == customer]
        outlasted = end is not None and any((e is None or e > end) and s <= end for _, s, e in others)
        ended = end is not None and end <= today and not outlasted
        periods = ((end if end is not None and end < today else today) - start).days / period
        wanted.append((max(round(periods) - 1, 0), 1.0) if ended else (int(periods), 0.0))
    assert len(wanted) > 10
    assert {churned for _, churned in wanted} == {0.0, 1.0}
    assert found == sorted(wanted)


def test_rows_are_what_the_fit_wants() -> None:
    found = lives(contract("a", 6.5), contract("b", 20, lasts=3)).rows
    assert pd.api.types.is_integer_dtype(found["renewals"])
    assert found["churned"].dtype == "float64"


def test_who_takes_another_contract_within_the_grace_has_not_left() -> None:
    again = replace(contract("b", 3.2), customer_id="a")  # a began 20 months ago and ended 10 months ago
    first = replace(contract("a", 20.4, lasts=10.2), customer_id="a")
    gap = 7 * MONTH_DAYS
    assert counted(lives(first, again, grace_days=round(gap) + 2)) == [(3, 0.0), (10, 0.0)]
    assert counted(lives(first, again, grace_days=30)) == [(3, 0.0), (9, 1.0)]


def test_an_end_within_the_grace_is_not_certain_yet() -> None:
    ended = contract("a", 6.2, lasts=5.2)  # a month ago
    assert counted(lives(ended, grace_days=60)) == [(5, 0.0)]
    assert counted(lives(ended, grace_days=20)) == [(4, 1.0)]


@pytest.mark.parametrize("recurrence", [0.0, -1.0])
def test_a_recurrence_that_is_none_counts_as_a_month(recurrence: float) -> None:
    found = lives(contract("a", 6.5, recurrence=recurrence))
    assert (found.days_per_period, counted(found)) == (MONTH_DAYS, [(6, 0.0)])
