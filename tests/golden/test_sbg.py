"""Two segments of subscribers: the parameters, likelihoods and projections that Fader & Hardie (2007) print.

"How to Project Customer Retention", Journal of Interactive Marketing 21(1): table 1 and appendix B.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kernel.sbg import Sbg
from training.models.value_sbg import fit_sbg

# Customers of 1,000 who are still there after 0 to 12 years; the papers fit on the first seven.
STILL_THERE = {
    "Regular": [1000, 631, 468, 382, 326, 289, 262, 241, 223, 207, 194, 183, 173],
    "High End": [1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394],
}
YEARS_FITTED = 7


def contracts(segment: str) -> pd.DataFrame:
    still_there = STILL_THERE[segment][: YEARS_FITTED + 1]
    lost = -np.diff(still_there)
    renewals = [*np.repeat(np.arange(YEARS_FITTED), lost), *[YEARS_FITTED] * still_there[-1]]
    return pd.DataFrame({"renewals": renewals, "churned": [1.0] * lost.sum() + [0.0] * still_there[-1]})


@pytest.mark.parametrize(
    ("segment", "alpha", "beta", "log_likelihood", "churn"),
    [("Regular", 0.704, 1.182, -1680.3, 0.37), ("High End", 0.668, 3.806, -1611.2, 0.15)],
)
def test_parameters(segment: str, alpha: float, beta: float, log_likelihood: float, churn: float) -> None:
    fit = fit_sbg(contracts(segment), days_per_period=365.25)
    assert (fit.model.alpha, fit.model.beta) == pytest.approx((alpha, beta), abs=5e-4)
    assert fit.log_likelihood == pytest.approx(log_likelihood, abs=0.05)
    assert 1 - fit.model.retention(1)[0] == pytest.approx(churn, abs=5e-3)
    assert (fit.contracts, fit.unique_rows, fit.penalizer) == (1000, 8, 0.0)
    assert [attempt.outcome for attempt in fit.attempts] == ["converged"] * 4


@pytest.mark.parametrize(("start", "log_likelihood"), [(1.0, -2115.5), (0.01, -2741.7)])
def test_likelihood_where_the_solver_starts(start: float, log_likelihood: float) -> None:
    """Of High End, in appendix B."""
    summary = contracts("High End")
    reached = Sbg(start, start, 365.25).log_likelihood(summary["renewals"], summary["churned"]).sum()
    assert reached == pytest.approx(log_likelihood, abs=0.05)


@pytest.mark.parametrize(("segment", "too_few"), [("Regular", 0.02), ("High End", 0.04)])
def test_survival_of_the_five_years_not_fitted(segment: str, too_few: float) -> None:
    """The error in year 12 is 2 % and 4 %, too few; no projected year is further off than 2 of 100 customers."""
    actual = np.array(STILL_THERE[segment]) / 1000
    projected = fit_sbg(contracts(segment), days_per_period=365.25).model.survival(np.arange(13))
    assert 1 - projected[12] / actual[12] == pytest.approx(too_few, abs=5e-3)
    assert np.abs(projected - actual).max() < 0.02
