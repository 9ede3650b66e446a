"""Golden rows: a few anonymous rows of features kept with a model, and what it said of them when it was made.

Whoever puts a stored model in use loads it with :func:`load_golden`: its files must be those that were stored, to the
last bit, and it must answer as the trained one did. The answers are compared to nine digits, not to the last bit:
exponentials of another kind of processor may differ there, and a model trained on one must serve on the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kernel.artefacts import MANIFEST
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import ForesightError, RegistryError
from kernel.part import Part
from kernel.predictions import Predictor, load_predictor, predictions

GOLDEN = "golden.json"
_BRING_BACK = "Bring the model's folder back from a backup, or train again."
_TOLERANCE = 1e-9


class GoldenRows(Part):
    """``golden.json`` of a stored model.

    Attributes:
        files: name -> SHA-256 of each of the model's files.
        numbers, words: feature -> its value in each row.
        answers: column of :func:`kernel.predictions.predictions` -> the answer to each row.
    """

    files: dict[str, str]
    numbers: dict[str, list[float]]
    words: dict[str, list[str | None]]
    answers: dict[str, list[float]]

    def features(self, known: Container[str]) -> pd.DataFrame:
        """The rows, with the ``known`` features only."""
        numbers = {name: np.array(values, dtype="float64") for name, values in self.numbers.items() if name in known}
        words = {name: np.array(values, dtype="object") for name, values in self.words.items() if name in known}
        return pd.DataFrame({**numbers, **words})


@dataclass(frozen=True)
class GoldenModel:
    """A loaded model that was found whole; ``rows`` is None of one that was stored before there were golden rows."""

    predictor: Predictor
    folder: Path
    rows: GoldenRows | None

    def check(self, known: dict[str, int]) -> None:
        """See that the model can be used with the features that are stored, and answers as it did.

        Args:
            known: feature -> the version of its definition.

        Raises:
            RegistryError: a feature is missing or has another meaning now, or the answers are others.
        """
        for column in self.predictor.manifest.columns:
            if known.get(column.name) != column.version:
                found = "not there" if column.name not in known else f"there in version {known[column.name]}"
                raise RegistryError(
                    f"The model needs the feature '{column.name}' in version {column.version}, which is {found}.",
                    where=str(self.folder / MANIFEST),
                    fix="Publish features of these definitions (foresight score), or train again.",
                )
        if self.rows is not None and not self._answers_as_before(self.rows, known):
            raise RegistryError(
                "The model does not answer as it did when it was stored.",
                where=str(self.folder / GOLDEN),
                fix="Train again with the libraries of the service (requirements.lock).",
            )

    def _answers_as_before(self, rows: GoldenRows, known: Container[str]) -> bool:
        try:
            features = rows.features(known)
            now = predictions(self.predictor, features)
        except KeyError as missing:
            raise RegistryError(
                f"The model reads the feature {missing}, which is not stored.",
                where=str(self.folder / MANIFEST),
                fix="Publish features of these definitions (foresight score), or train again.",
            ) from missing
        if list(now.columns) != list(rows.answers) or not _reasons_add_up(self.predictor, features):
            return False
        return all(
            np.allclose(now[name].to_numpy(), values, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
            for name, values in rows.answers.items()
        )


def _reasons_add_up(predictor: Predictor, features: pd.DataFrame) -> bool:
    """Whether what is said of each feature makes up the whole. Looked at before a model is put in use, so that the
    tables that it comes from are made by then, and not while the first customer waits."""
    if not isinstance(predictor, ChurnPredictor):
        return True
    inputs = predictor.inputs(features)
    whole = predictor.log_odds(inputs)
    return np.allclose(predictor.contributions(inputs).sum(axis=1), whole, rtol=_TOLERANCE, atol=_TOLERANCE)


def keep_golden(folder: Path, features: pd.DataFrame, answers: pd.DataFrame) -> None:
    """Write the golden rows into a model's folder, whose other files are complete.

    Args:
        features: the rows; their index, which could name customers, is left out.
        answers: what the model says of them, of the same length.
    """
    numeric = [name for name in features.columns if pd.api.types.is_numeric_dtype(features.dtypes[name])]
    words = [name for name in features.columns if name not in set(numeric)]
    content = {
        "files": {file.name: _digest(file) for file in sorted(folder.iterdir()) if file.name != GOLDEN},
        "numbers": {name: features[name].to_numpy(dtype="float64").tolist() for name in numeric},
        "words": {name: [word if isinstance(word, str) else None for word in features[name]] for name in words},
        "answers": {str(name): answers[name].to_numpy(dtype="float64").tolist() for name in answers.columns},
    }
    # Python's own JSON: it keeps NaN and infinity apart, and every float to its last bit.
    (folder / GOLDEN).write_text(json.dumps(content), encoding="utf-8")


def load_golden(folder: Path, kind: str) -> GoldenModel:
    """Load a model's folder, after every file was found to be as it was stored.

    Args:
        kind: of model that is wanted.

    Raises:
        RegistryError: a file is missing, is another, or cannot be read, or the model is of another kind.
    """
    if not (folder / MANIFEST).is_file():
        raise RegistryError("The model's files are gone.", where=str(folder), fix=_BRING_BACK)
    rows = _read(folder)
    for name, digest in ({} if rows is None else rows.files).items():
        # Before anything reads it: the trees' own reader can end the process over a damaged file.
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise RegistryError(
                f"The model's file '{name}' is not the one that was stored.",
                where=str(folder / name),
                fix=_BRING_BACK,
            )
    try:
        predictor = load_predictor(folder)
    except ForesightError:
        raise
    except Exception as error:
        raise RegistryError(
            f"The model's files cannot be read ({type(error).__name__}).",
            where=str(folder),
            fix=_BRING_BACK,
        ) from error
    if predictor.manifest.kind != kind:
        raise RegistryError(
            f"It is a model of the kind '{predictor.manifest.kind}'.",
            where=str(folder),
            fix=f"Point the alias at a version of the model of {kind}.",
        )
    return GoldenModel(predictor, folder, rows)


def _read(folder: Path) -> GoldenRows | None:
    file = folder / GOLDEN
    if not file.exists():
        return None
    try:
        return GoldenRows.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RegistryError(
            f"The model's golden rows cannot be read ({type(error).__name__}).",
            where=str(file),
            fix=_BRING_BACK,
        ) from error


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
