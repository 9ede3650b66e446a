"""The baseline of HTTP: a BentoML service that predicts one LightGBM model on a posted vector, and nothing else."""

from __future__ import annotations

import gc
import os

import bentoml
import lightgbm as lgb
import numpy as np
from pydantic import BaseModel

MODEL_VARIABLE = "BENCHMARK_MODEL"


class Vector(BaseModel):
    """Model inputs in the model's order; null where unknown."""

    values: list[float | None]


class Prediction(BaseModel):
    """A raw score."""

    score: float


@bentoml.service(name="Bare", http={"host": "127.0.0.1"})
class Bare:
    """One model."""

    def __init__(self) -> None:
        self.booster = lgb.Booster(model_file=os.environ[MODEL_VARIABLE])
        gc.collect()
        gc.freeze()

    @bentoml.api(route="/predict")
    async def predict(self, vector: Vector, /) -> Prediction:
        """The model's raw score of one row."""
        row = np.array([vector.values], dtype="float64")
        [score] = np.asarray(self.booster.predict(row, raw_score=True, num_threads=1))
        return Prediction(score=float(score))
