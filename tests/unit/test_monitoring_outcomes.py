"""Which scores are ripe, what came after them, and how well they had said it: only what is known now."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from features.contract.profiles import Profiles, load_profiles
from kernel.clock import parse_as_of
from kernel.errors import NotEnoughDataError
from kernel.settings import Settings
from tests.projects import TABLES as SHOP
from tests.projects import TinyProject
from training.labels.window import LabelWindow
from training.monitoring.figures import Bounded, ChurnFigures, ValueFigures, churn_figures, value_figures
from training.monitoring.found import Cohort
from training.monitoring.outcomes import figures, outcomes
from training.monitoring.reference import Promise
from training.monitoring.ripeness import State, obstacle, ripeness

TABLES = (
    SHOP.replace("[sources]", '[sources]\ncalls = "calls.csv"')
    .replace('at", amount', 'at", ingested_at = "known", amount')
    .replace('columns = { customer_id = "id" }', 'columns = { customer_id = "id", consent = "may" }')
    + """
[tables.activities]
from = "calls"
columns = { customer_id = "id", event_time = "at", kind = "kind" }

[churn]
horizon_days = 30
active_days = 60

[churn.treatment]
where = "kind = 'retention_call'"

[value]
horizon_days = 30
"""
)
SALES = """id,receipt,at,paid,known
buys,r1,2024-03-10 10:00:00,12.5,2024-03-10 10:00:00
buys,r2,2024-03-31 00:00:00,99,2024-03-31 00:00:00
late,r3,2024-03-12 10:00:00,7,2024-04-20 10:00:00
early,r4,2024-02-29 23:59:59,7,2024-02-29 23:59:59
called,r5,2024-03-05 10:00:00,4,2024-03-05 10:00:00
"""
AS_OF, KNOWN = parse_as_of("2024-03-01"), parse_as_of("2024-03-31")
NAMES = ["buys", "late", "early", "called"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    project = TinyProject(tmp_path_factory.mktemp("ripe"))
    project.write(
        "customers.csv", "id,may\n" + "".join(f"{n},true\n" for n in [*NAMES, "inactive"]) + "withdrawn,false\n"
    )
    project.write("sales.csv", SALES)
    project.write("calls.csv", "id,at,kind\ncalled,2024-03-02 10:00:00,retention_call\n")
    return project.settings(TABLES)


@pytest.fixture(scope="module")
def profiles(settings: Settings) -> Profiles:
    return load_profiles(settings, now=parse_as_of("2024-06-01"))


def scores() -> pd.DataFrame:
    """Four of the cohort, one with a value only."""
    return pd.DataFrame(
        {
            "status": ["scored"] * 4 + ["inactive"],
            "churn_probability": [0.1, 0.2, 0.6, 0.3, np.nan],
            "lifetime_value": [10.0, 5.0, 2.0, 4.0, 1.0],
        },
        index=pd.Index([*NAMES, "inactive"], name="customer_id"),
    )


class TestRipe:
    def test_waits_for_gap_window_and_grace(self) -> None:
        window = LabelWindow(30, gap_days=7, maturity_days=14)
        on = AS_OF + timedelta(days=51)
        for known, state in ((on - timedelta(seconds=1), State.WAITING), (on, State.RIPE)):
            found = ripeness(AS_OF, "churn", "churn/3", 10, window, known)
            assert (found.state, found.on) == (state, on)

    def test_never_where_the_question_has_changed_or_the_model_is_gone(self, settings: Settings) -> None:
        why = obstacle(None, settings)
        assert why == "the model that scored is no longer in the registry"
        found = ripeness(AS_OF, "churn", "churn/3", 10, LabelWindow(30), KNOWN, why)
        assert (found.state, found.on, found.why) == (State.NEVER, None, why)


class TestWhatCame:
    def test_by_the_labels_of_training_without_those_who_were_treated(
        self, profiles: Profiles, settings: Settings
    ) -> None:
        found = outcomes(profiles, settings, "churn", scores(), AS_OF, KNOWN)
        assert list(found.scores.index) == ["buys", "late", "early"]
        assert found.label.tolist() == [0, 1, 1]
        assert (found.treated, found.unknown) == (1, 0)
        spent = outcomes(profiles, settings, "value", scores(), AS_OF, KNOWN)
        assert spent.label.tolist() == [12.5, 0, 0]

    def test_what_arrives_later_is_not_known_yet(self, profiles: Profiles, settings: Settings) -> None:
        later = outcomes(profiles, settings, "churn", scores(), AS_OF, parse_as_of("2024-04-21"))
        assert dict(zip(later.scores.index, later.label, strict=True)) == {"buys": 0, "late": 0, "early": 1}

    def test_nothing_is_told_before_it_is_ripe(self, profiles: Profiles, settings: Settings) -> None:
        with pytest.raises(NotEnoughDataError, match="is certain on 2024-03-31"):
            outcomes(profiles, settings, "churn", scores(), AS_OF, KNOWN - timedelta(seconds=1))

    def test_who_withdrew_consent_or_was_deleted_has_not_churned(self, profiles: Profiles, settings: Settings) -> None:
        gone = scores().iloc[[2, 2, 2]].set_index(pd.Index(["early", "withdrawn", "deleted"], name="customer_id"))
        found = outcomes(profiles, settings, "churn", gone, AS_OF, KNOWN)
        assert (list(found.scores.index), found.unknown) == (["early"], 2)

    def test_nobody_left_tells_nothing(self, profiles: Profiles, settings: Settings) -> None:
        found = outcomes(profiles, settings, "churn", scores().iloc[3:], AS_OF, KNOWN)
        assert (len(found.scores), figures("churn", found)) == (0, None)


def simulated(customers: int, seed: int = 1, too_bold: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    log_odds = random.normal(-1.5, 1, customers)
    came = random.random(customers) < 1 / (1 + np.exp(-log_odds))
    return 1 / (1 + np.exp(-too_bold * log_odds)), came.astype(float)


class TestFigures:
    def test_churners_over_expected_by_hand(self) -> None:
        found = churn_figures(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 0.0, 1.0, 1.0]))
        assert (found.customers, found.churned) == (4, 2)
        assert found.observed.estimate == 2 / 1.0
        # Wilson's interval of 2 in 4 over the mean of .25.
        assert (found.observed.low, found.observed.high) == pytest.approx((0.15004 / 0.25, 0.84996 / 0.25), abs=1e-4)
        assert found.auc is None  # told apart without error: there is no interval

    def test_right_probabilities_have_slope_one_and_the_calibration_error_of_chance(self) -> None:
        found = churn_figures(*simulated(5000, 2))
        assert found.slope is not None
        assert found.slope.low < 1 < found.slope.high
        assert found.observed.low < 1 < found.observed.high
        assert found.calibration_error < 2 * found.calibration_by_chance

    def test_bold_probabilities_have_a_slope_below_one(self) -> None:
        found = churn_figures(*simulated(5000, too_bold=2.0))
        assert found.slope is not None
        assert found.slope.estimate == pytest.approx(0.5, abs=0.05)
        assert found.slope.high < 1
        assert found.calibration_error > 4 * found.calibration_by_chance

    def test_spend_by_hand(self) -> None:
        expected, spend = np.array([10.0, 20.0, 30.0, 40.0]), np.array([10.0, 30.0, 20.0, 60.0])
        found = value_figures(expected, spend, 0.5 * expected, 1.4 * expected)
        assert found.observed.estimate == 1.2
        # Residuals from 1.2 x expected are -2, 6, -16, 12: deviation sqrt(110), over a mean of 25 and the root of 4.
        assert found.observed.high - 1.2 == pytest.approx(1.959964 * 110**0.5 / (25 * 2), rel=1e-6)
        assert found.covered is not None
        assert (found.covered.estimate, found.customers) == (0.5, 4)
        assert found.rank_correlation is not None
        assert found.rank_correlation.estimate == pytest.approx(0.8)

    def test_intervals_hold_the_truth(self) -> None:
        held = [churn_figures(*simulated(600, seed)) for seed in range(60)]
        assert np.mean([one.observed.low <= 1 <= one.observed.high for one in held]) >= 0.88
        assert np.mean([one.slope is not None and one.slope.low <= 1 <= one.slope.high for one in held]) >= 0.88

    def test_the_calibration_error_that_chance_alone_makes(self) -> None:
        probability, _ = simulated(2000)
        draws = [(np.random.default_rng(seed).random(2000) < probability).astype(float) for seed in range(50)]
        found = [churn_figures(probability, draw) for draw in draws]
        chance = found[0].calibration_by_chance
        assert chance == pytest.approx(np.mean([one.calibration_error for one in found]), rel=0.1)

    def test_one_outcome_has_no_order_and_no_slope(self) -> None:
        found = churn_figures(np.array([0.1, 0.2, 0.3]), np.zeros(3))
        assert (found.auc, found.slope, found.observed.estimate) == (None, None, 0)

    def test_read_back_as_they_were_written(self) -> None:
        churn = churn_figures(*simulated(50))
        value = value_figures(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 4.0]))
        assert ChurnFigures.model_validate_json(churn.model_dump_json()) == churn
        assert ValueFigures.model_validate_json(value.model_dump_json()) == value


def test_a_drop_is_the_promise_less_what_came_with_both_errors() -> None:
    came = churn_figures(*simulated(500, 1)).model_copy(update={"auc": Bounded(estimate=0.7, low=0.6608, high=0.7392)})
    then = came.model_copy(update={"auc": Bounded(estimate=0.8, low=0.7412, high=0.8588)})
    ripe = ripeness(AS_OF, "churn", "churn/1", 500, LabelWindow(30), KNOWN)
    drop = Cohort(ripe, came, Promise(as_of=AS_OF, churn=then)).drop
    assert drop is not None
    half = np.hypot(0.0392, 0.0588)
    assert (drop.estimate, drop.low, drop.high) == pytest.approx((0.1, 0.1 - half, 0.1 + half))
    assert Cohort(ripe, came, None).drop is None
