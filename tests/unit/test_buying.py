"""Purchases by week and spend by cohort, counted by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import numpy as np
import pytest

from kernel.btyd import BgNbd
from kernel.clock import parse_as_of
from kernel.errors import NotEnoughDataError
from kernel.pareto_nbd import ParetoNbd
from tests.projects import TABLES, TinyProject
from training.evaluation.tracking import track, weekly_expected
from training.labels.buying import Cohort, WeeklyPurchases, cohort_spend, weekly_purchases

# As fitted on the CDNOW sample, time in weeks.
MODELS = [BgNbd(0.2426, 4.4137, 0.793, 2.4262, 7.0), ParetoNbd(0.5533, 10.578, 0.6062, 11.669, 7.0)]
TOLD_LATER = TABLES.replace('amount = "paid"', 'amount = "paid", ingested_at = "told"')


def write(project: TinyProject, visits: Mapping[str, list[tuple[str, float]]], told: str = "") -> None:
    """Moments and amounts of each customer; ``told``: when the last one became known, where later than it was."""
    rows = [(name, moment, paid) for name, bought in visits.items() for moment, paid in bought]
    lines = [f"{name},r{i},{moment},{paid},{moment}" for i, (name, moment, paid) in enumerate(rows)]
    if told:
        lines[-1] = f"{lines[-1].rpartition(',')[0]},{told}"
    project.write("customers.csv", "id\n" + "\n".join(visits) + "\n")
    project.write("sales.csv", "id,receipt,at,paid,told\n" + "\n".join(lines) + "\n")


def weekly(
    project: TinyProject, as_of: str, until: str, tables: str = TABLES, timezone: str = "UTC"
) -> WeeklyPurchases:
    with project.profiles(tables, timezone) as profiles:
        return weekly_purchases(profiles, parse_as_of(as_of), parse_as_of(until))


def cohorts(project: TinyProject, as_of: str, tables: str = TABLES, timezone: str = "UTC") -> list[Cohort]:
    with project.profiles(tables, timezone) as profiles:
        return cohort_spend(profiles, parse_as_of(as_of))


def many(customers: int, bought: list[tuple[str, float]], name: str = "c") -> dict[str, list[tuple[str, float]]]:
    return {f"{name}{i}": list(bought) for i in range(customers)}


class TestWeeklyPurchases:
    def test_first_purchase_days_are_no_repeats(self, project: TinyProject) -> None:
        anna = ["2024-01-03 09:00", "2024-01-03 18:00", "2024-01-09 09:00", "2024-01-15 09:00", "2024-01-15 10:00"]
        bert = ["2024-01-10 09:00", "2024-01-16 09:00", "2024-01-29 09:00"]
        write(project, {"anna": [(moment, 5) for moment in anna], "bert": [(moment, 5) for moment in bert]})
        found = weekly(project, "2024-01-15", "2024-02-06")
        # From the 15th back and on; the week of 5 February is not over.
        days = ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22", "2024-01-29"]
        assert [f"{week:%Y-%m-%d}" for week in found.weeks] == days
        assert found.repeats.tolist() == [0, 1, 2, 0, 1]
        assert np.flatnonzero(found.firsts).tolist() == [2, 9]
        assert (found.firsts.sum(), len(found.firsts)) == (2, 35)
        assert found.weeks.tz is not None

    def test_only_customers_of_before_count(self, project: TinyProject) -> None:
        write(
            project,
            {
                "anna": [("2024-01-10 09:00", 5), ("2024-01-20 09:00", 5)],
                "bert": [("2024-01-15 00:00", 5), ("2024-01-20 09:00", 5)],
            },
        )
        found = weekly(project, "2024-01-15", "2024-01-29")
        assert found.repeats.tolist() == [0, 1, 0]
        assert found.firsts.sum() == 1

    def test_returns_are_no_purchases(self, project: TinyProject) -> None:
        anna: list[tuple[str, float]] = [("2024-01-01 09:00", -5), ("2024-01-10 09:00", 5), ("2024-01-12 09:00", -5)]
        write(project, {"anna": anna})
        found = weekly(project, "2024-01-15", "2024-01-15")
        assert (found.repeats.tolist(), np.flatnonzero(found.firsts).tolist()) == ([0], [2])

    def test_what_was_not_told_by_then_is_not_known(self, project: TinyProject) -> None:
        anna: list[tuple[str, float]] = [("2024-01-09 09:00", 5), ("2024-01-16 09:00", 5), ("2024-01-08 09:00", 5)]
        write(project, {"anna": anna}, told="2024-01-20 09:00")
        found = weekly(project, "2024-01-15", "2024-01-22", TOLD_LATER)
        # An earlier first day, told later, was not the first one known, and is no repeat of it.
        assert (found.repeats.tolist(), np.flatnonzero(found.firsts).tolist()) == ([0, 1], [1])
        write(project, {"anna": [*anna[:2], ("2024-01-17 09:00", 5)]}, told="2024-02-20 09:00")
        assert weekly(project, "2024-01-15", "2024-01-22", TOLD_LATER).repeats.tolist() == [0, 1]
        assert weekly(project, "2024-01-15", "2024-02-26", TOLD_LATER).repeats.tolist() == [0, 2, 0, 0, 0, 0, 0]

    def test_days_are_those_of_the_project_s_time_zone(self, project: TinyProject) -> None:
        # Local moments, after midnight in UTC: the second comes after the moment itself, yet on its last known day.
        moments = ["2024-01-10 22:00", "2024-01-14 22:00", "2024-01-16 12:00"]
        write(project, {"anna": [(moment, 5) for moment in moments]})
        found = weekly(project, "2024-01-15", "2024-01-30", timezone="America/New_York")
        assert [f"{week:%Y-%m-%d}" for week in found.weeks] == ["2024-01-08", "2024-01-15", "2024-01-22"]
        assert (found.repeats.tolist(), np.flatnonzero(found.firsts).tolist()) == ([1, 1, 0], [2])

    def test_a_week_whose_last_day_is_not_over_is_left_out(self, project: TinyProject) -> None:
        write(project, {"anna": [("2024-01-09 09:00", 5), ("2024-01-28 09:00", 5)]})
        assert weekly(project, "2024-01-15", "2024-01-28T23:00:00").repeats.tolist() == [0, 0]
        assert weekly(project, "2024-01-15", "2024-01-29").repeats.tolist() == [0, 0, 1]

    def test_without_a_purchase(self, project: TinyProject) -> None:
        with pytest.raises(NotEnoughDataError, match="No purchase is known at 2024-01-02"):
            weekly(project, "2024-01-02", "2024-02-01")


class TestExpected:
    @pytest.mark.parametrize("model", MODELS)
    def test_is_the_rise_of_what_a_new_customer_buys(self, model: BgNbd | ParetoNbd) -> None:
        firsts = np.zeros(21)
        firsts[[0, 9]] = 3, 2
        # At the end of the three weeks the three are 6, 13 and 20 days old, the two 4 and 11 from the second on.
        grown = [model.population(days) for days in (6, 13, 20)]
        young = [model.population(days) for days in (4, 11)]
        assert weekly_expected(firsts, model) == pytest.approx(
            np.diff([0, 3 * grown[0], 3 * grown[1] + 2 * young[0], 3 * grown[2] + 2 * young[1]])
        )

    def test_of_nobody_is_nothing(self) -> None:
        assert weekly_expected(np.zeros(14), MODELS[0]).tolist() == [0, 0]
        assert weekly_expected(np.empty(0), MODELS[0]).tolist() == []

    def test_weeks_after_are_those_the_model_did_not_know(self, project: TinyProject) -> None:
        write(project, {"anna": [("2024-01-03 09:00", 5), ("2024-01-16 09:00", 5)]})
        tracked = track(weekly(project, "2024-01-15", "2024-01-29"), MODELS[0])
        after = tracked.after()
        assert tracked.known_until == datetime(2024, 1, 15, tzinfo=UTC)
        assert [f"{week:%Y-%m-%d}" for week in after.weeks] == ["2024-01-15", "2024-01-22"]
        assert after.actual.tolist() == [1, 0]
        days = np.array([MODELS[0].population(age) for age in (11, 18, 25)])
        assert after.expected == pytest.approx(np.diff(days))


class TestCohorts:
    def test_spend_by_months_since_the_first_purchase(self, project: TinyProject) -> None:
        bought = [
            ("2024-01-31 09:00", 10.0),
            ("2024-01-31 10:00", 2.0),
            ("2024-02-15 09:00", 5.0),
            ("2024-02-29 09:00", 7.0),
            ("2024-04-01 09:00", -4.0),
            ("2024-05-02 09:00", 100.0),
        ]
        write(project, many(20, bought) | {"silent": [("2024-01-05 09:00", 3.0)]})
        (january,) = cohorts(project, "2024-05-01")
        assert (january.month, january.customers) == (date(2024, 1, 1), 21)
        # A month after 31 January is 29 February; the third month is over for all on 30 April.
        assert january.spend == pytest.approx([243 / 21, 343 / 21, 483 / 21, 403 / 21])
        assert len(cohorts(project, "2024-04-30")[0].spend) == 3

    def test_months_that_are_not_over_are_left_out(self, project: TinyProject) -> None:
        write(project, many(20, [("2024-01-10 09:00", 10.0)]) | many(20, [("2024-02-10 09:00", 10.0)], "d"))
        assert [one.month.month for one in cohorts(project, "2024-02-29")] == [1]
        found = cohorts(project, "2024-03-01")
        assert [(one.month.month, one.spend.tolist()) for one in found] == [(1, [10, 10]), (2, [10])]
        assert cohorts(project, "2024-01-31T23:00:00") == []

    def test_few_customers_are_no_cohort(self, project: TinyProject) -> None:
        write(project, many(19, [("2024-01-10 09:00", 10.0)]))
        assert cohorts(project, "2024-06-01") == []

    def test_at_most_eight_the_newest(self, project: TinyProject) -> None:
        visits = {
            name: bought
            for month in range(1, 11)
            for name, bought in many(20, [(f"2024-{month:02}-10 09:00", 10.0)], f"m{month}-").items()
        }
        write(project, visits)
        assert [one.month.month for one in cohorts(project, "2024-12-01")] == list(range(3, 11))

    def test_what_was_not_told_by_then_is_not_known(self, project: TinyProject) -> None:
        visits = many(20, [("2024-01-10 09:00", 10.0)])
        visits["c19"].append(("2024-01-20 09:00", 40.0))
        write(project, visits, told="2024-04-01 00:01")
        assert cohorts(project, "2024-04-01", TOLD_LATER)[0].spend.tolist() == [10, 10, 10]
        assert cohorts(project, "2024-04-02", TOLD_LATER)[0].spend.tolist() == [10, 12, 12]

    def test_months_are_those_of_the_project_s_time_zone(self, project: TinyProject) -> None:
        # The project's own moments are local: the first is still January in New York, and February in UTC.
        write(project, many(20, [("2024-01-31 22:00", 10.0)]))
        assert [one.month.month for one in cohorts(project, "2024-06-01", timezone="America/New_York")] == [1]
