"""Batch and online give the same features to the last bit, whatever the numbers, words and ids."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features.engine.online import OnlineStore
from features.engine.snapshot import StoredRows
from tests.snapshots import snapshot_of

# Not in any text: half a character, and (PostgreSQL) the zero character.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([float("nan"), -0.0, 0.0, 5e-324, -1.7e308, 0.1])
)


@st.composite
def frames(draw: st.DrawFn) -> tuple[pd.DataFrame, list[bool]]:
    ids = draw(st.lists(TEXTS, min_size=1, max_size=7, unique=True))
    index = pd.Index(ids, name="customer_id", dtype="object")
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=5))
    columns: dict[str, pd.Series] = {}
    for number, is_word in enumerate(kinds):
        values = draw(st.lists(st.none() | TEXTS if is_word else NUMBERS, min_size=len(ids), max_size=len(ids)))
        columns[f"f {number}"] = pd.Series(values, index=index, dtype="object" if is_word else "float64")
    consent = draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
    return pd.DataFrame(columns, index=index), consent


def bits(rows: StoredRows) -> dict[str, list[object]]:
    """Every value with its bits, so that -0.0 is not 0.0 and NaN is NaN."""
    columns = {
        str(name): rows.features[name].tolist()
        if rows.features[name].dtype == object
        else rows.features[name].to_numpy(dtype="float64").view(np.int64).tolist()
        for name in rows.features
    }
    return {"ids": list(rows.features.index), "consent": rows.consent.tolist(), **columns}


@settings(max_examples=60, deadline=None)
@given(drawn=frames(), rows=st.integers(1, 4))
def test_batch_is_online(drawn: tuple[pd.DataFrame, list[bool]], rows: int) -> None:
    frame, consent = drawn
    with tempfile.TemporaryDirectory() as folder:
        snapshot = snapshot_of(Path(folder), frame, consent)
        with OnlineStore(f"sqlite:///{folder}/online.db", "shop") as online:
            online.load(snapshot)
            batch: dict[str, list[object]] = {}
            for chunk in snapshot.chunks(rows):
                for name, values in bits(chunk).items():
                    batch.setdefault(name, []).extend(values)
            assert bits(online.look_up(batch["ids"])) == batch  # type: ignore[arg-type]
            assert bits(snapshot.look_up(batch["ids"])) == batch  # type: ignore[arg-type]
            for place, name in enumerate(batch["ids"]):
                alone = bits(online.look_up([str(name)]))
                assert alone == {column: [values[place]] for column, values in batch.items()}
    # What was put in is what came out.
    assert sorted(map(str, batch["ids"])) == sorted(frame.index)
    for name in frame:
        if frame[name].dtype == object:
            assert batch[str(name)] == frame.loc[batch["ids"], name].tolist()
        else:
            expected = frame.loc[batch["ids"], name].to_numpy()
            found = np.array(batch[str(name)], dtype=np.int64).view(np.float64)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(
                np.signbit(found[~np.isnan(found)]), np.signbit(expected[~np.isnan(expected)])
            )
