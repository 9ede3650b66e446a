"""Fifty kills of batches: five in each of ten, at moments of other seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.batches import batches
from tests.integration.test_batch_kills import check_kills


@pytest.mark.soak
def test_a_batch_survives_fifty_kills(tmp_path: Path) -> None:
    struck = 0
    with batches() as started:
        for seed in range(10):
            (tmp_path / str(seed)).mkdir()
            struck += check_kills(started, tmp_path / str(seed), kills=5, seed=seed)
    assert struck >= 30, "the others came after the end"
