"""Which logged decisions count for an outcome, in which arm, with which probability, and what followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from training.action_log import DecisionLog, LearnableOutcome, Purchases, matured

START = datetime(2026, 1, 1, tzinfo=UTC)
OFFERED = {"do_nothing": 0.5, "mail": 0.2, "call": 0.2, "other": 0.1}
REDEEM = LearnableOutcome("redeem_7d", "binary", 7, ("mail", "call"))
SPEND = LearnableOutcome("spend_7d", "value", 7, ("mail", "call"))


def day(days: float) -> datetime:
    return START + timedelta(days=days)


def log(
    decisions: list[tuple[str, str, float, str | None]], events: list[tuple[str, str, str, float, float, float | None]]
):
    """Decisions: id, customer, day, chosen. Events: decision, action, event, day, day of arrival, value."""
    made = pd.DataFrame(
        [(name, customer, START, day(at), chosen, "greedy") for name, customer, at, chosen in decisions],
        columns=["decision_id", "customer_id", "as_of", "logged_at", "chosen", "mode"],
    )
    told = pd.DataFrame(
        [(name, action, event, day(at), day(came), value) for name, action, event, at, came, value in events],
        columns=["decision_id", "action", "event", "event_time", "received_at", "value"],
    )
    for frame, names in ((made, ["as_of", "logged_at"]), (told, ["event_time", "received_at"])):
        frame[names] = frame[names].apply(pd.to_datetime, utc=True)
    return DecisionLog(made, [OFFERED] * len(made), told)


def test_arms_and_their_probabilities() -> None:
    found = matured(
        log([("1", "a", 0, "do_nothing"), ("2", "b", 0, "call"), ("3", "c", 0, "other"), ("4", "d", 0, None)], []),
        REDEEM,
        day(30),
    )
    assert found.decisions["decision_id"].tolist() == ["1", "2"]
    assert found.arm.tolist() == [0, 2]
    assert found.probability.tolist() == [pytest.approx([5 / 9, 2 / 9, 2 / 9])] * 2


def test_a_window_that_is_not_over_counts_as_nothing_yet() -> None:
    made = log([("1", "a", 0, "mail"), ("2", "b", 1, "mail"), ("3", "c", 1, "other")], [])
    at_its_end = matured(made, REDEEM, day(7))
    assert (at_its_end.decisions["decision_id"].tolist(), at_its_end.waiting) == (["1"], 1)
    assert matured(made, REDEEM, day(6.99)).waiting == 2


def test_of_overlapping_windows_the_first_counts() -> None:
    made = log([("1", "a", 0, "mail"), ("2", "a", 3, "call"), ("3", "a", 7, "call"), ("4", "b", 3, "call")], [])
    assert matured(made, REDEEM, day(30)).decisions["decision_id"].tolist() == ["1", "3", "4"]


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        (("1", "mail", "converted", 5, 5, None), True),
        (("1", "mail", "converted", 7, 20, None), True),
        (("1", "mail", "converted", 7.01, 8, None), False),  # after the window
        (("1", "mail", "converted", 5, 31, None), False),  # not known yet
        (("1", "mail", "converted", -0.04, 5, None), True),  # a clock that is slow by less than an hour
        (("1", "mail", "accepted", 5, 5, None), False),
        (("1", "call", "converted", 5, 5, None), False),  # another action than the drawn one
        (("9", "mail", "converted", 5, 5, None), False),
    ],
)
def test_what_counts_as_conversion(event: tuple, counts: bool) -> None:
    assert matured(log([("1", "a", 0, "mail")], [event]), REDEEM, day(30)).outcome.tolist() == [float(counts)]


def test_an_event_before_its_decision_is_told_of() -> None:
    found = matured(log([("1", "a", 1, "mail")], [("1", "mail", "converted", 0, 5, None)]), REDEEM, day(30))
    assert (found.outcome.tolist(), found.early) == ([0.0], 1)


def test_doing_nothing_converts_too_and_no_event_counts_twice() -> None:
    events = [("1", "do_nothing", "converted", 2, 2, None), ("1", "do_nothing", "converted", 3, 3, None)]
    assert matured(log([("1", "a", 0, "do_nothing")], events), REDEEM, day(30)).outcome.tolist() == [1.0]


def test_money_adds_up() -> None:
    events = [
        ("1", "mail", "outcome_value", 2, 2, 12.5),
        ("1", "mail", "outcome_value", 3, 3, -2.5),
        ("2", "call", "converted", 1, 1, None),
    ]
    found = matured(log([("1", "a", 0, "mail"), ("2", "b", 0, "call")], events), SPEND, day(30))
    assert found.outcome.tolist() == [10.0, 0.0]


def test_what_no_policy_drew_is_left_out() -> None:
    made = log([("1", "a", 0, "mail"), ("2", "b", 0, "mail"), ("3", "c", 0, "do_nothing"), ("4", "d", 0, "call")], [])
    made.decisions["mode"] = ["greedy", "mandatory", "holdout", "explore"]
    assert matured(made, REDEEM, day(30)).decisions["decision_id"].tolist() == ["1", "4"]


def test_what_has_come_of_younger_decisions() -> None:
    made = log(
        [("1", "a", 0, "mail"), ("2", "a", 5, "call"), ("3", "b", 5, "call"), ("4", "c", 6, "do_nothing")],
        [
            ("1", "mail", "converted", 2, 3, None),
            ("1", "mail", "converted", 6, 6, None),
            ("3", "call", "converted", 6, 7, None),
            ("4", "do_nothing", "converted", 7, 9, None),  # not known yet
        ],
    )
    found = matured(made, REDEEM, day(8))
    young = found.unripe
    assert (young.customer.tolist(), young.arm.tolist()) == (["b", "c"], [2, 0])
    assert young.outcome.tolist() == [1.0, 0.0]
    assert young.age.tolist() == pytest.approx([3, 2])
    assert young.probability[0] == pytest.approx([5 / 9, 2 / 9, 2 / 9])
    assert (found.delays.days.tolist(), found.delays.weight.tolist()) == ([pytest.approx(3)], [1])


class TestPurchases:
    BUY = LearnableOutcome("buy_7d", "binary", 7, ("mail", "call"), "purchases")
    PAY = LearnableOutcome("pay_7d", "value", 7, ("mail", "call"), "purchases")

    @staticmethod
    def bought(*lines: tuple[str, float, float, float], until: float = 40) -> Purchases:
        """Lines: decision, amount, day, day of arrival."""
        moments = [(name, amount, day(at), day(came)) for name, amount, at, came in lines]
        return Purchases(
            pd.DataFrame(moments, columns=["decision_id", "amount", "event_time", "received_at"]), day(until)
        )

    def test_no_feedback_is_needed(self) -> None:
        made = log([("1", "a", 0, "mail"), ("2", "b", 0, "do_nothing"), ("3", "c", 0, "call")], [])
        bought = self.bought(("1", 12.0, 1, 1), ("1", -2.0, 3, 3), ("2", 5.0, 7, 7), ("3", -4.0, 2, 2))
        assert matured(made, self.BUY, day(30), bought).outcome.tolist() == [1.0, 1.0, 0.0]
        assert matured(made, self.PAY, day(30), bought).outcome.tolist() == [10.0, 5.0, -4.0]

    @pytest.mark.parametrize(
        ("at", "came", "counts"),
        [(0.01, 0.01, True), (0, 0, False), (-1, -1, False), (7, 7, True), (7.01, 7.01, False), (3, 31, False)],
    )
    def test_what_counts(self, at: float, came: float, counts: bool) -> None:
        found = matured(log([("1", "a", 0, "mail")], []), self.BUY, day(30), self.bought(("1", 9.0, at, came)))
        assert found.outcome.tolist() == [float(counts)]

    def test_beyond_the_end_of_the_tables_nothing_is_known(self) -> None:
        made = log([("1", "a", 0, "mail"), ("2", "b", 5, "mail"), ("3", "c", 20, "mail")], [])
        found = matured(made, self.BUY, day(30), self.bought(until=10))
        assert found.decisions["decision_id"].tolist() == ["1"]
        assert (found.beyond, found.waiting) == (2, 0)
        assert found.unripe.age.tolist() == pytest.approx([5, -10])


def test_an_empty_log() -> None:
    found = matured(log([], []), REDEEM, day(30))
    assert (len(found.arm), found.probability.shape, found.waiting) == (0, (0, 3), 0)
