"""Twenty promotions while clients ask: not one error, and every answer by a champion of its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.live import make_shop
from tests.doubles.promotions import promote_under_load

pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # BentoML's own


def test_twenty_promotions_under_load(tmp_path: Path) -> None:
    load = promote_under_load(make_shop(tmp_path / "shop"), promotions=20, pause=1.0)
    print(f"{load.answers.total():,} answers, {dict(load.answers)}, {len(load.errors)} errors")
    assert load.errors == []
    assert set(load.answers) == {"shop-churn/1", "shop-churn/2", "shop-churn/3"}
    assert load.answers.total() > 500
