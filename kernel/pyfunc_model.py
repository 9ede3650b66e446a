"""The script that MLflow stores with every model and runs to load it (models-from-code): no class of ours is pickled.

It stays this thin because the stored copy is frozen while the package below it lives on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from kernel.predictions import load_predictor, predictions


class ForesightModel(PythonModel):
    """Answers with :func:`kernel.predictions.predictions` of the native files beside it."""

    def load_context(self, context: Any) -> None:
        """Read the native files."""
        self.predictor = load_predictor(Path(context.artifacts["native"]))

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride]  # MLflow declares that it returns None
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Predictions, indexed like ``model_input``."""
        return predictions(self.predictor, model_input)


set_model(ForesightModel())
