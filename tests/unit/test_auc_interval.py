"""DeLong's interval of the AUC, and of the difference of two on the same customers."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.discrimination import auc_difference, auc_interval


class TestAucInterval:
    # Placements by hand: of the two who left, 0.8 beats all three others, 0.5 beats two: AUC 5/6.
    SCORE = np.array([0.8, 0.5, 0.6, 0.3, 0.1])
    LEFT = np.array([1.0, 1.0, 0.0, 0.0, 0.0])

    def test_is_delong_by_hand(self) -> None:
        interval = auc_interval(self.SCORE, self.LEFT, confidence=0.5)
        # V10 = (1, 2/3): variance 1/18; V01 = (1/2, 1, 1): variance 1/12; sum 1/18/2 + 1/12/3 = 1/18.
        half = 0.6744897501960817 * np.sqrt(1 / 18)
        assert interval.estimate == pytest.approx(5 / 6, abs=1e-15)
        assert (interval.low, interval.high) == pytest.approx((5 / 6 - half, 5 / 6 + half), abs=1e-12)

    def test_stays_within_what_an_auc_can_be(self) -> None:
        interval = auc_interval(self.SCORE, self.LEFT, confidence=0.99)
        assert interval.high == 1.0

    def test_counts_ties_half(self) -> None:
        score, left = np.array([1.0, 1.0, 2.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])
        assert auc_interval(score, left).estimate == pytest.approx(3.5 / 4)

    def test_holds_the_truth_nineteen_times_in_twenty(self) -> None:
        random = np.random.default_rng(7)
        truth = 0.7602499389065233  # two normals one standard deviation apart: Phi(1 / sqrt 2)
        held = 0
        for _ in range(1000):
            left = np.arange(400) < 60
            interval = auc_interval(random.normal(left.astype(float)), left.astype(float))
            held += interval.low <= truth <= interval.high
        assert 930 <= held <= 965

    @pytest.mark.parametrize(
        "left", [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]
    )
    def test_tells_none_without_evidence(self, left: list[float]) -> None:
        assert auc_interval(np.array([4.0, 3.0, 2.0, 1.0]), np.array(left)) is None

    def test_difference_is_paired(self) -> None:
        other = np.array([0.5, 0.8, 0.3, 0.6, 0.1])
        left = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
        # The same two placements of those who left, swapped: the difference is 0, its variance is not that of a sum.
        difference = auc_difference(self.SCORE, other, left, confidence=0.5)
        half = 0.6744897501960817 * np.sqrt((2 / 9) / 2 + 0.25 / 3)
        assert difference.estimate == pytest.approx(0)
        assert (difference.low, difference.high) == pytest.approx((-half, half))
        assert auc_difference(self.SCORE, 2 * self.SCORE, left) is None
