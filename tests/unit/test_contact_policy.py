"""What may reach a customer again: contact policy, channels, capacities, messages that are owed, holdout, prices."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foresight.policy_replay import without_closed
from kernel.errors import UsageError
from kernel.uplift_predictor import Effects, EffectStatus
from serving.decisioning.belief import LearnedBelief
from serving.decisioning.catalogue import Catalogue, load_catalogue
from serving.decisioning.decide import decide
from serving.decisioning.decision import Candidate, Decision
from serving.decisioning.policy import PolicySettings, in_holdout
from serving.decisioning.state import CampaignPrices, ContactEvent, DecisionState
from serving.feedback.history import read_history
from serving.feedback.state_reader import StateReader
from serving.feedback.store import DecisionStore
from serving.schemas import FeedbackEvent, FeedbackRequest

AS_OF = datetime(2026, 5, 4, tzinfo=UTC)
NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
FIELDS = ("frequency", "email_opt_in")
GREEDY = PolicySettings(thompson=0.0, uniform=0.0)

ACTION = """
[[action]]
id = "{id}"
label = "{id} label"
group = "coupons"
channels = [{channels}]
outcome = {{ name = "buy_again", window_days = 30 }}
cost = {{ contact = {contact} }}
value = {{ margin = 20.0 }}
prior = {{ rate = {rate}, strength = 50 }}
{more}
"""
NOTICE = """
[[action]]
id = "{id}"
label = "Recall of a product"
group = "service"
channels = ["mail"]
mandatory = true
contact_cost = 0.7
{more}
"""


def action(name: str, more: str = "", *, channels: str = '"mail"', contact: float = 0.5, rate: float = 0.1) -> str:
    return ACTION.format(id=name, more=more, channels=channels, contact=contact, rate=rate)


def notice(name: str = "recall", more: str = "") -> str:
    return NOTICE.format(id=name, more=more)


def catalogue(folder: Path, *parts: str) -> Catalogue:
    path = folder / "actions.toml"
    path.write_text("\n".join(parts), encoding="utf-8")
    return load_catalogue(path, FIELDS)


def customers(*names: str, **columns: Any) -> pd.DataFrame:
    names = names or ("c1",)
    given = {"status": "scored", "frequency": 3.0, "email_opt_in": 1.0, "lifetime_value": 100.0, **columns}
    return pd.DataFrame({"customer_id": list(names), **given})


def run(of: Catalogue, frame: pd.DataFrame | None = None, **options: Any) -> list[Decision]:
    given: dict[str, Any] = {"as_of": AS_OF, "settings": GREEDY, "currency": "EUR", **options}
    return decide(of, customers() if frame is None else frame, **given)


def candidates(decision: Decision) -> dict[str, Candidate]:
    return {candidate.action_id: candidate for candidate in decision.candidates}


def happened(action: str, event: str, days_ago: float, decision: str = "", channel: str = "mail") -> ContactEvent:
    return ContactEvent(decision or f"d{days_ago}", action, channel, event, NOW - timedelta(days=days_ago))


def after(*events: ContactEvent, **more: Any) -> DecisionState:
    return DecisionState(NOW, {"c1": events}, **more)


def reasons(of: Catalogue, state: DecisionState, name: str = "a") -> tuple[str, ...]:
    return candidates(run(of, state=state)[0])[name].reason_codes


@pytest.mark.parametrize(
    ("days_ago", "event", "out"), [(9.9, "shown", True), (10.0, "shown", False), (1, "dismissed", False)]
)
def test_an_action_cools_down_after_it_reached_the_customer(
    tmp_path: Path, days_ago: float, event: str, out: bool
) -> None:
    of = catalogue(tmp_path, action("a", "cooldown_days = 10"), action("b"))
    found = reasons(of, after(happened("a", event, days_ago)))
    assert found == ((f"cooldown: until {NOW + timedelta(days=10 - days_ago):%Y-%m-%d}",) if out else ())
    assert reasons(of, after(happened("a", event, days_ago)), "b") == ()


def test_what_a_clock_ahead_reports_counts_as_of_now(tmp_path: Path) -> None:
    of = catalogue(tmp_path, action("a", "cooldown_days = 10"))
    found = reasons(of, after(happened("a", "shown", -2)))
    assert found == (f"cooldown: until {NOW + timedelta(days=10):%Y-%m-%d}",)


def test_what_was_passed_on_and_then_dismissed_reached_nobody(tmp_path: Path) -> None:
    of = catalogue(tmp_path, action("a", "cooldown_days = 10"))
    both = (happened("a", "shown", 2, "d1"), happened("a", "dismissed", 1, "d1"))
    assert reasons(of, after(*both)) == ()
    assert reasons(of, after(both[0])) != ()


def test_an_unwanted_action_is_suppressed_by_count_and_window(tmp_path: Path) -> None:
    rule = 'suppress = [{ event = "dismissed", count = 2, window_days = 10, for_days = 30 }]'
    of = catalogue(tmp_path, action("a", rule))
    twice = (happened("a", "dismissed", 12), happened("a", "dismissed", 5))
    assert reasons(of, after(twice[1])) == ()
    assert reasons(of, after(*twice)) == (f"suppressed: until {NOW + timedelta(days=25):%Y-%m-%d}",)
    assert reasons(of, after(happened("a", "dismissed", 45), happened("a", "dismissed", 5))) == ()
    # What came after the pair does not end what the pair began.
    older = (happened("a", "dismissed", 29), happened("a", "dismissed", 25), happened("a", "dismissed", 2))
    assert reasons(of, after(*older)) == (f"suppressed: until {NOW + timedelta(days=5):%Y-%m-%d}",)


def test_contact_limits_hold_over_all_and_by_channel(tmp_path: Path) -> None:
    overall = "[[contact_limit]]\nat_most = 2\nwindow_days = 30\n"
    limits = f"{overall}\n[[contact_limit]]\nchannel = 'phone'\nat_most = 1\nwindow_days = 90\n"
    of = catalogue(tmp_path, action("a"), action("b", channels='"phone", "mail"'), limits)
    phoned = candidates(run(of, state=after(happened("b", "accepted", 40, channel="phone")))[0])
    assert (phoned["b"].channel, phoned["b"].eligible, phoned["a"].channel) == ("mail", True, "mail")
    full = after(happened("a", "shown", 1), happened("b", "opened", 29))
    assert {reasons(of, full, name) for name in ("a", "b")} == {("contact_limit: 2 in 30 days",)}
    assert candidates(run(of, state=full)[0])["a"].why_not == (
        "The customer was contacted as often as is allowed: 2 in 30 days."
    )
    assert run(of, state=full)[0].chosen == "do_nothing"


def test_a_channel_is_open_to_those_who_permit_it(tmp_path: Path) -> None:
    channel = "[[channel]]\nid = 'email'\npermission = 'email_opt_in = 1'\n"
    of = catalogue(tmp_path, action("a", channels='"email"'), action("b", channels='"email", "mail"'), channel)
    frame = customers("yes", "no", "unknown", email_opt_in=[1.0, 0.0, None])
    yes, no, unknown = (candidates(decision) for decision in run(of, frame))
    assert (yes["a"].channel, yes["b"].channel, no["b"].channel, no["a"].channel) == ("email", "email", "mail", None)
    assert no["a"].reason_codes == ("channel:email: email_opt_in = 1",)
    assert no["a"].why_not == "Email asks for: email opt in is 1."
    assert unknown["a"].reason_codes == ("missing:email_opt_in",)
    many = customers(*(f"c{n}" for n in range(60)), email_opt_in=np.arange(60) % 2.0)
    assert [decision.channel for decision in run(of, many)] == ["mail", "email"] * 30


def test_capacity_a_day_and_budget_end_an_action_for_everybody(tmp_path: Path) -> None:
    of = catalogue(tmp_path, action("a", "capacity = { per_day = 3 }"), action("b", "budget = 100.0"))
    state = DecisionState(NOW, decided_today={"a": 2}, spent={"b": 99.5})
    assert {name: reasons(of, state, name) for name in "ab"} == {"a": (), "b": ()}
    used = DecisionState(NOW, decided_today={"a": 3}, spent={"b": 99.6})
    assert {name: reasons(of, used, name) for name in "ab"} == {"a": ("capacity: 3 a day",), "b": ("budget: 100",)}


def test_fatigue_is_a_part_of_the_value(tmp_path: Path) -> None:
    of = catalogue(tmp_path, action("a"), "[fatigue]\ncost_per_contact = 0.4\nwindow_days = 30\n")
    rested = candidates(run(of)[0])["a"]
    tired = candidates(run(of, state=after(happened("a", "shown", 3), happened("b", "shown", 29)))[0])["a"]
    assert (rested.fatigue_cost, tired.fatigue_cost) == (0.0, 0.8)
    assert tired.expected_incremental_value == (rested.expected_incremental_value or 0.0) - 0.8
    worn = after(*(happened("a", "shown", days) for days in (1, 2, 3, 4)))
    alone = run(of, state=worn, settings=PolicySettings())[0]
    assert (alone.candidates[1].expected_incremental_value or 0) < 0
    assert alone.candidates[1].probability < run(of, settings=PolicySettings())[0].candidates[1].probability
    batch = run(of, customers("c0", "c1", "c2"), state=worn, settings=PolicySettings())
    assert batch[1] == alone


def test_a_message_that_is_owed_comes_first_and_needs_no_weighing(tmp_path: Path) -> None:
    owed = [notice("recall", 'applicability = "frequency > 2"\ncooldown_days = 365'), notice("terms")]
    of = catalogue(tmp_path, action("a"), *owed, "[[contact_limit]]\nat_most = 0\nwindow_days = 30\n")
    decision = run(of, settings=PolicySettings(holdout=0.5))[0]
    assert (decision.chosen, decision.mode, decision.propensity, decision.channel) == (
        "recall",
        "mandatory",
        1.0,
        "mail",
    )
    assert [candidate.probability for candidate in decision.candidates] == [0.0, 0.0, 1.0, 0.0]
    assert decision.recommended[0].explanation.startswith("A message that is due with the customer's consent")
    assert run(of, customers(frequency=1.0))[0].chosen == "terms"
    assert run(of, state=after(happened("recall", "shown", 20)))[0].chosen == "terms"


def test_without_consent_only_what_is_owed_to_everybody_is_sent(tmp_path: Path) -> None:
    law, ruled = 'legal_basis = "legal_obligation"', 'legal_basis = "contract"\neligibility = "frequency > 1"'
    of = catalogue(tmp_path, action("a"), notice("ruled", ruled), notice("recall", law))
    frame = customers("c1", "c2", status=["no_consent", "scored"])
    closed, open_ = run(of, frame)
    assert (closed.chosen, [one.action_id for one in closed.candidates]) == ("recall", ["do_nothing", "recall"])
    assert open_.chosen == "ruled"
    consent_only = catalogue(tmp_path, action("a"), notice("recall"))
    assert run(consent_only, frame)[0].reason_codes == ("no_consent",)


def test_the_holdout_is_sticky_within_a_quarter_and_gets_nothing(tmp_path: Path) -> None:
    of, settings = catalogue(tmp_path, action("a")), PolicySettings(holdout=0.05)
    names = [f"c{number}" for number in range(4000)]
    held = {name for name in names if in_holdout(name, AS_OF.date(), settings)}
    assert abs(len(held) / 4000 - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 4000)
    later = {name for name in names if in_holdout(name, (AS_OF + timedelta(days=50)).date(), settings)}
    assert later == held
    assert {name for name in names if in_holdout(name, (AS_OF + timedelta(days=60)).date(), settings)} != held
    some = run(of, customers(*names[:500]), settings=settings)
    for decision in some:
        assert decision.holdout == (decision.customer_id in held) == (decision.mode == "holdout")
        if decision.holdout:
            assert (decision.chosen, decision.propensity, len(decision.recommended)) == ("do_nothing", 1.0, 1)
            assert "control group of quarter 2 of 2026" in decision.recommended[0].explanation
    assert sum(decision.holdout for decision in some) > 5
    assert "h=0.05" in some[0].policy_version


def test_chance_can_be_kept_from_an_action_and_from_customers(tmp_path: Path) -> None:
    settings = PolicySettings(thompson=0.3, uniform=0.1)
    best_is_sure = catalogue(tmp_path, action("a", 'exploration = { mode = "off" }', rate=0.3), action("b"))
    assert [one.probability for one in run(best_is_sure, settings=settings)[0].candidates] == [0.0, 1.0, 0.0]
    other_is_sure = catalogue(tmp_path, action("a", 'exploration = { mode = "off" }'), action("b", rate=0.3))
    nothing, sure, best = (one.probability for one in run(other_is_sure, settings=settings)[0].candidates)
    assert (sure, nothing >= 0.05, nothing + best) == (0.0, True, pytest.approx(1.0, abs=1e-12))
    by_segment = catalogue(tmp_path, action("a", 'exploration = { where = "frequency > 2" }'), action("b", rate=0.3))
    few, many = run(by_segment, customers("c1", "c2", frequency=[1.0, 5.0]), settings=settings)
    assert (candidates(few)["a"].probability, candidates(many)["a"].probability > 0.03) == (0.0, True)
    owed = catalogue(tmp_path, action("a", 'legal_basis = "contract"', rate=0.3))
    assert run(owed, settings=settings)[0].propensity == 1.0


def test_a_floor_is_the_least_probability(tmp_path: Path) -> None:
    of = catalogue(tmp_path, action("a", "exploration = { floor = 0.08 }", rate=0.001), action("b", rate=0.3))
    found = candidates(run(of, settings=PolicySettings())[0])
    assert 0.08 <= found["a"].probability < 0.1
    assert sum(one.probability for one in found.values()) == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(UsageError, match="floors"):
        run(of, settings=PolicySettings(thompson=0.5, uniform=0.5))


def test_prices_of_a_campaign_count_until_they_expire(tmp_path: Path) -> None:
    of = catalogue(tmp_path, action("a", contact=1.0), action("b"))

    def priced(**changes: Any) -> Decision:
        given = {"version": "p1", "catalogue_hash": of.hash, "budget": 0.5, "capacity": {"b": 0.25}}
        prices = CampaignPrices(**{**given, "until": NOW + timedelta(days=1), **changes})
        return run(of, state=DecisionState(NOW, prices=prices), settings=PolicySettings())[0]

    plain, found = run(of, settings=PolicySettings())[0], priced()
    assert [candidates(found)[name].price for name in "ab"] == [0.5, 0.5]
    for name in "ab":
        one, before = candidates(found)[name], candidates(plain)[name]
        assert one.expected_incremental_value == (before.expected_incremental_value or 0.0) - one.price
        assert one.contact_cost == before.contact_cost
    assert "less 0.50 EUR that it would bring elsewhere in the campaign" in str(found.recommended)
    assert found.decision_id != plain.decision_id
    for other in (priced(until=NOW), priced(catalogue_hash="another")):
        assert other == plain
    # At such a price nothing is worth a contact any more.
    dear = priced(budget=9.0)
    assert max(one.expected_incremental_value or 0.0 for one in dear.candidates) == 0.0
    assert dear.candidates[0].probability > 0.9


def test_the_same_question_is_one_decision_and_another_state_another(tmp_path: Path) -> None:
    of = catalogue(tmp_path, action("a", "cooldown_days = 10"))
    plain = run(of)[0]
    assert run(of, state=DecisionState(NOW))[0] == plain
    assert run(of, state=after(happened("a", "shown", 20)))[0] == plain
    cooled = run(of, state=after(happened("a", "shown", 3)))[0]
    assert cooled.decision_id != plain.decision_id
    assert run(of, state=after(happened("a", "shown", 3)))[0] == cooled


def test_money_as_an_outcome_is_valued_by_what_is_kept_of_it(tmp_path: Path) -> None:
    text = action("a").replace("window_days = 30 }", 'window_days = 30, kind = "value", measured_by = "purchases" }')
    text = text.replace("margin = 20.0", "margin = 0.25").replace(
        "rate = 0.1, strength = 50", "mean = 8.0, deviation = 4.0"
    )
    found = candidates(run(catalogue(tmp_path, text))[0])["a"]
    assert (found.expected_incremental_value, found.uplift) == (pytest.approx(8.0 * 0.25 - 0.5), 8.0)
    assert found.uplift_high == pytest.approx(8 + 1.6448536 * 4)
    shown = run(catalogue(tmp_path, text))[0].recommended[0]
    assert "8.00 EUR more to buy again within 30 days x 25 % kept of it = 2.00 EUR" in shown.explanation
    learned = {"a": LearnedBelief(Effects(np.array([3.0]), np.array([0.5]), EffectStatus.CALIBRATED))}
    assert candidates(run(catalogue(tmp_path, text), beliefs=learned)[0])["a"].expected_incremental_value == 0.25


def test_what_would_change_the_order_is_exact(tmp_path: Path) -> None:
    of = catalogue(tmp_path, action("a", rate=0.1), action("b", rate=0.05))
    first, second = run(of)[0].recommended
    assert first.what_would_change == (
        "It would bring less than 'b label' if its effect were below 5.00 percentage points (now 10.00)."
    )
    assert second.what_would_change == (
        "It would bring more than 'a label' if its effect were above 10.00 percentage points (now 5.00)."
    )
    alone = run(catalogue(tmp_path, action("a", rate=0.1)))[0].recommended[0]
    assert alone.what_would_change == (
        "It would bring less than doing nothing if its effect were below 2.50 percentage points (now 10.00)."
    )
    [nothing] = run(catalogue(tmp_path, action("a", rate=0.02)))[0].recommended
    assert nothing.what_would_change == (
        "'a label' would be worth it if its effect were above 2.50 percentage points (now 2.00)."
    )


@pytest.mark.parametrize(
    ("old", "new", "what", "where"),
    [
        ("cooldown_days = 10", "cooldown_days = 0", "Input should be greater than", "line 10, action 'a', field 'cool"),
        ("cooldown_days = 10", "cooldown = 10", "Unknown key 'cooldown'", "line 10, action 'a', field 'cooldown'"),
        ("at_most = 2", "at_mots = 2", "Unknown key 'at_mots' (and 1 more)", "line 13, contact limit '1'"),
        ("at_most = 2", 'at_most = 2\nchannel = "mial"', "No action uses the channel 'mial'", "line 14"),
        ("email_opt_in = 1", "email_optin = 1", "The rule uses the unknown field 'email_optin'", "line 18, channel"),
        ("email_opt_in = 1", "system(1) = 1", "The rule calls 'system', which rules may not", "line 18, channel"),
        ("cost_per_contact", "cost_per_day", "Unknown key 'cost_per_day' (and 1 more)", "line 20, fatigue"),
        ("cooldown_days = 10", "capacity = {}", "Give per_day, per_campaign or both", "line 10, action 'a'"),
        ("cooldown_days = 10", 'legal_basis = "because"', "Input should be 'consent'", "line 10, action 'a'"),
        (
            "cooldown_days = 10",
            'suppress = [{ event = "sneezed", for_days = 3 }]',
            "Input should be 'shown'",
            "line 10",
        ),
        ("rate = 0.1, strength = 50", "mean = 8.0, deviation = 4.0", "The outcome's kind is binary", "line 1, action"),
        ("cooldown_days = 10", "exploration = { floor = 0.6 }", "Input should be less than", "line 10, action 'a'"),
    ],
)
def test_a_mistake_in_the_new_fields_is_named(tmp_path: Path, old: str, new: str, what: str, where: str) -> None:
    text = "\n".join(
        [
            action("a", "cooldown_days = 10", channels='"mail", "email"').strip("\n"),
            "",
            "[[contact_limit]]",
            "at_most = 2",
            "window_days = 30",
            "",
            "[[channel]]",
            "id = 'email'",
            "permission = 'email_opt_in = 1'",
            "",
            "[fatigue]",
            "cost_per_contact = 0.1",
            "window_days = 30",
        ]
    )
    assert old in text
    with pytest.raises(UsageError) as caught:
        catalogue(tmp_path, text.replace(old, new))
    assert caught.value.what.startswith(what)
    assert where in caught.value.where


def test_a_judged_policy_keeps_to_what_contact_policy_had_closed(tmp_path: Path) -> None:
    of = catalogue(tmp_path, action("a", "cooldown_days = 10"), action("b", 'eligibility = "frequency > 9"'))
    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    store.log_decisions([*run(of, state=after(happened("a", "shown", 3))), *run(of, customers("c2"))], NOW)
    history = read_history(store, NOW)
    assert dict(zip(history.decisions["customer_id"], history.closed, strict=True)) == {"c1": {"a"}, "c2": set()}
    store.close()
    probability = np.array([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1]])
    worth = np.array([[0.0, 3.0, 2.0], [0.0, 3.0, np.nan]])
    closed = np.array([[False, True, False], [False, False, False]])
    found = without_closed(probability, worth, closed)
    assert found == pytest.approx(np.array([[0.1, 0.0, 0.9], [0.1, 0.8, 0.1]]))
    assert without_closed(probability[:1], worth[1:], closed[:1]) == pytest.approx(np.array([[0.9, 0.0, 0.1]]))


def test_the_log_says_what_the_next_decision_depends_on(tmp_path: Path, state_url: str) -> None:
    more = "cooldown_days = 10\ncapacity = { per_day = 5 }\nbudget = 50.0"
    of = catalogue(tmp_path, action("a", more, contact=0.25))
    reader, store = StateReader(state_url), DecisionStore(state_url)
    assert reader.read(of, ["c1"], NOW) == DecisionState(NOW)
    made = run(of, customers("c1", "c2"))
    assert Counter(decision.chosen for decision in made) == {"a": 2}
    yesterday = NOW - timedelta(days=1)
    store.log_decisions(made[:1], yesterday)
    store.log_decisions(made, NOW)  # the first is known already, and not counted again
    shown = FeedbackRequest(
        event_id="e1", decision_id=made[0].decision_id, action="a", event=FeedbackEvent.SHOWN, event_time=yesterday
    )
    store.record_feedback(shown, yesterday)
    state = reader.read(of, ["c1", "c2"], NOW)
    assert state.contacts == {"c1": [ContactEvent(made[0].decision_id, "a", "mail", "shown", yesterday)]}
    assert (state.decided_today, state.spent) == ({"a": 1}, {"a": 0.5})
    assert reader.read(of, ["c1"], yesterday - timedelta(hours=1)).contacts == {}
    prices = CampaignPrices("p1", of.hash, 0.5, {"a": 0.25}, NOW + timedelta(days=1))
    store.keep_prices(prices, NOW)
    assert reader.read(of, [], NOW).prices == prices
    assert reader.read(of, [], NOW - timedelta(minutes=1)).prices is None
    assert reader.read(of, [], NOW + timedelta(days=1)).prices is None
    store.keep_prices(CampaignPrices("p2", of.hash, 0.1, {}, NOW + timedelta(hours=1)), NOW + timedelta(minutes=1))
    assert (reader.read(of, [], NOW + timedelta(minutes=2)).prices or prices).version == "p2"
    reader.close()
    store.close()
