"""Which models should answer, loaded and checked: those the registry names, or the copy of the last that answered."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from features.engine.manifest import SnapshotManifest
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import RegistryError
from kernel.golden import GoldenModel, load_golden
from kernel.model_registry import CHALLENGER, CHAMPION, TRAIN_FIRST, ModelRegistry, ModelVersion, StoredModel
from kernel.settings import Settings
from kernel.uplift_predictor import UpliftPredictor
from kernel.value_predictor import ValuePredictor
from serving.runtime import LearnedEffects
from serving.scoring.scorer import Scorer

NEEDED = ("churn", "value")
KINDS = (*NEEDED, "uplift")
_LIST = "models.json"
_KEPT = 2  # one more than is in use: another worker may just be reading the one before

Wanted = Mapping[str, StoredModel]
"""Kind -> the version that should answer; ``uplift`` only where effects were learned."""


@dataclass(frozen=True)
class Models:
    """Loaded models that answer together."""

    stored: Wanted
    scorer: Scorer
    learned: LearnedEffects | None

    @property
    def names(self) -> tuple[str, ...]:
        """Such as ``churn/3``, in the order of KINDS."""
        return names_of(self.stored)


def names_of(wanted: Wanted) -> tuple[str, ...]:
    """The versions, such as ``churn/3``, in the order of KINDS."""
    return tuple(str(wanted[kind].version) for kind in KINDS if kind in wanted)


def champions(registry: ModelRegistry, settings: Settings) -> tuple[Wanted, Wanted | None]:
    """The champions, and what would answer if the challengers did: None where there is no other version.

    Raises:
        RegistryError: there is no registry, or no champion of churn or value.
    """
    aliased = registry.aliased()
    names = {kind: settings.model_name(kind) for kind in KINDS}
    found = {kind: aliased[name, CHAMPION] for kind, name in names.items() if (name, CHAMPION) in aliased}
    for kind in NEEDED:
        if kind not in found:
            raise RegistryError(
                f"There is no {CHAMPION} of the model '{names[kind]}'.",
                where=str(registry.database.folder),
                fix=TRAIN_FIRST,
            )
    others = {kind: aliased[name, CHALLENGER] for kind, name in names.items() if (name, CHALLENGER) in aliased}
    challengers = {**found, **others}
    return found, None if challengers == found else challengers


class Loader:
    """Loads models, each folder once for as long as it is in use."""

    def __init__(self, language: str) -> None:
        """``language``: of the reasons."""
        self._language = language
        self._loaded: dict[StoredModel, GoldenModel] = {}

    def load(self, wanted: Wanted, manifest: SnapshotManifest) -> Models:
        """The models, whole, answering as they did when they were stored, and fit for the features in service.

        Args:
            manifest: of the features in service.

        Raises:
            RegistryError: they are not.
        """
        found: dict[str, GoldenModel] = {}
        for kind, model in wanted.items():
            try:
                loaded = self._loaded.get(model) or load_golden(model.folder, kind)
                loaded.check(manifest.feature_versions)
            except RegistryError as error:
                raise RegistryError(
                    f"{model.version} cannot be used. {error.what}", where=error.where, fix=error.fix
                ) from error
            found[kind] = self._loaded[model] = loaded
        scorer = Scorer(
            cast("ChurnPredictor", found["churn"].predictor),
            cast("ValuePredictor", found["value"].predictor),
            str(wanted["churn"].version),
            str(wanted["value"].version),
            self._language,
        )
        learned = None
        if "uplift" in found:
            learned = LearnedEffects(cast("UpliftPredictor", found["uplift"].predictor), str(wanted["uplift"].version))
        return Models(wanted, scorer, learned)

    def keep_only(self, used: Iterable[Models]) -> None:
        """Let go of every other model."""
        stored = {model for models in used for model in models.stored.values()}
        self._loaded = {model: loaded for model, loaded in self._loaded.items() if model in stored}


class LastGood:
    """A copy of the last champions that answered, in the state's folder: what a service starts with while the registry
    is away."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made before it is needed."""
        self._folder = folder

    @classmethod
    def of(cls, settings: Settings) -> LastGood:
        """That of a project."""
        return cls(settings.state_folder / "champions")

    def keep(self, stored: Wanted) -> None:
        """Copy the files of these models, unless they are there; of older copies the newest stays.

        Raises:
            OSError: the files cannot be copied.
        """
        listed = {kind: [one.version.name, one.version.version, one.version.run_id] for kind, one in stored.items()}
        place = self._folder / hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()[:16]
        if place.exists():
            place.touch()
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="unfinished-") as scratch:
            whole = Path(scratch) / "whole"
            for kind, model in stored.items():
                shutil.copytree(model.folder, whole / kind)
            (whole / _LIST).write_text(json.dumps(listed), encoding="utf-8")
            whole.rename(place)
        for older in self._newest_first()[_KEPT:]:
            shutil.rmtree(older, ignore_errors=True)

    def find(self) -> Wanted | None:
        """The models of the newest copy; None where none was kept."""
        for place in self._newest_first():
            listed: dict[str, tuple[str, int, str]] = json.loads((place / _LIST).read_text(encoding="utf-8"))
            return {kind: StoredModel(ModelVersion(*version), place / kind) for kind, version in listed.items()}
        return None

    def _newest_first(self) -> list[Path]:
        places = [file.parent for file in self._folder.glob(f"*/{_LIST}")]
        return sorted(places, key=lambda place: place.stat().st_mtime, reverse=True)
