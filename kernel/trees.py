"""What boosted trees say of rows: many at once through LightGBM's own method, one row through its C call for one row.

For one row the method takes longer than the trees. The call is no public part of the Python package: where a version
does not have it, the method answers, with the same digits. The parts of shallow trees come from tables
(:mod:`kernel.tree_parts`), in a tenth of the time of either.
"""

from __future__ import annotations

import ctypes
import weakref
from threading import Lock
from typing import Any, Literal

import lightgbm as lgb
import numpy as np

from kernel.part import Floats
from kernel.tree_parts import PartTables

Kind = Literal["raw", "response", "contributions"]
_KINDS: dict[Kind, int] = {"response": 0, "raw": 1, "contributions": 3}  # C_API_PREDICT_* of LightGBM/c_api.h
_FLOAT64 = 1
_MANY = {"raw": 1000, "response": 1000, "contributions": 100}
"""Rows from which several threads bring more than they cost: for fewer, OpenMP's spinning does."""
_KNOWN: weakref.WeakKeyDictionary[lgb.Booster, dict[Kind, _OneRow | None]] = weakref.WeakKeyDictionary()
_TABLES: weakref.WeakKeyDictionary[lgb.Booster, PartTables | None] = weakref.WeakKeyDictionary()


def predicted(booster: lgb.Booster, inputs: Floats, kind: Kind) -> Floats:
    """What the trees say; the digits do not depend on how many rows there are.

    The first question for contributions makes the tables of the trees, which must not grow any more.

    Args:
        inputs: shape (rows, columns).
        kind: the sum of the leaves ("raw"), the same on the scale of the target ("response"), or the exact parts of the
            sum ("contributions", TreeSHAP), which have a column more: the base.

    Returns:
        Shape (rows,); of contributions (rows, columns + 1); of a booster with several outputs (rows, outputs).
    """
    if kind == "contributions" and (tables := _tables(booster)) is not None:
        return tables.parts(inputs)
    if len(inputs) == 1 and (one := _one_row(booster, kind)) is not None:
        return one.predict(inputs)
    threads = 1 if len(inputs) < _MANY[kind] else 0
    found = booster.predict(inputs, raw_score=kind == "raw", pred_contrib=kind == "contributions", num_threads=threads)
    return np.asarray(found)


def _tables(booster: lgb.Booster) -> PartTables | None:
    if booster not in _TABLES:
        _TABLES[booster] = PartTables.of(booster)
    return _TABLES[booster]


def _one_row(booster: lgb.Booster, kind: Kind) -> _OneRow | None:
    known = _KNOWN.setdefault(booster, {})
    if kind not in known:
        known[kind] = _OneRow.of(booster, kind)
    return known[kind]


class _OneRow:
    """LightGBM's prepared call for one row."""

    def __init__(self, library: Any, booster: lgb.Booster, kind: Kind, outputs: int) -> None:
        self._call = library.LGBM_BoosterPredictForMatSingleRowFast
        self._handle = ctypes.c_void_p()
        self._columns = booster.num_feature()
        self._outputs, self._is_table = outputs, kind == "contributions" or outputs > 1
        self._lock = Lock()  # the prepared call keeps buffers of its own
        failed = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            getattr(booster, "_handle"),  # noqa: B009 - no public way leads to it
            _KINDS[kind],
            0,
            -1,
            _FLOAT64,
            ctypes.c_int32(self._columns),
            b"num_threads=1",
            ctypes.byref(self._handle),
        )
        if failed:
            raise RuntimeError("LightGBM cannot prepare the call for one row")
        weakref.finalize(self, library.LGBM_FastConfigFree, self._handle)

    @classmethod
    def of(cls, booster: lgb.Booster, kind: Kind) -> _OneRow | None:
        """None where this version of LightGBM has no such call."""
        library = getattr(lgb.basic, "_LIB", None)
        outputs = booster.num_model_per_iteration()
        if kind == "contributions":
            outputs *= booster.num_feature() + 1
        try:
            return None if library is None else cls(library, booster, kind, outputs)
        except (AttributeError, RuntimeError):
            return None

    def predict(self, inputs: Floats) -> Floats:
        """Of one row, shape (1, columns)."""
        if inputs.shape[1] != self._columns:
            raise ValueError(f"the trees have {self._columns} inputs, not {inputs.shape[1]}")
        row = np.ascontiguousarray(inputs, dtype=np.float64)
        found, length = np.empty(self._outputs), ctypes.c_int64(0)
        with self._lock:
            failed = self._call(
                self._handle,
                ctypes.c_void_p(row.ctypes.data),
                ctypes.byref(length),
                ctypes.c_void_p(found.ctypes.data),
            )
        if failed or length.value != self._outputs:
            raise RuntimeError("LightGBM failed on one row")
        return found.reshape(1, -1) if self._is_table else found
