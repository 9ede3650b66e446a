"""The place of a worker's counts on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.metric_files import FOLDER_VARIABLE, room_for_counts


def test_they_take_their_place_and_a_start_that_fails_gives_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(ValueError, match="no start"), room_for_counts():
        raise ValueError("no start")
    assert list(tmp_path.iterdir()) == []
    with room_for_counts():
        pass
    kinds = ("counter", "gauge_livemax", "gauge_livesum", "histogram")
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{kind}_{os.getpid()}.db" for kind in kinds]
    assert all(512 * file.stat().st_blocks >= file.stat().st_size == 524_288 for file in tmp_path.iterdir())
