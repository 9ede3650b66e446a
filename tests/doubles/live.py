"""A project with a real registry, real features in service and tiny models, as the live service has them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pandas as pd

from features.engine.online import OnlineStore
from kernel.model_registry import ModelRegistry, TrainingData, TrainingRun
from kernel.predictions import Predictor
from kernel.settings import Settings, load_settings
from kernel.uplift_predictor import ActionEffect, EffectStatus, UpliftManifest, UpliftPredictor
from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from serving.live import LiveModels
from tests.doubles.insights import running
from tests.doubles.models import AS_OF, FINGERPRINT, churn_predictor, features, saved, value_predictor
from tests.snapshots import snapshot_of

CUSTOMERS = features(rows=60, seed=3).astype({"income": object})
ASKED_AT = AS_OF + timedelta(hours=9)
CHURN_SEEDS = (7, 8, 9)  # versions 1, 2, 3
CATALOGUE = """
[[action]]
id = "do_nothing"
label = "Nothing"

[[action]]
id = "coupon"
label = "Coupon"
description = "A coupon."
group = "coupons"
channels = ["mail"]
eligibility = "frequency >= 0"
outcome = { name = "redeem", window_days = 30, kind = "binary" }
cost = { contact = 0.5 }
value = { margin = 30.0 }
prior = { rate = 0.05, strength = 100 }
"""
TOML = """
[project]
name = "shop"
currency = "USD"

[sources]
sales = "sales.csv"

[tables.customers]
from = "sales"
columns = { customer_id = "id" }

[actions]
catalogue = "actions.toml"

[registry]
folder = "registry"

[state]
folder = "state"

[service]
poll_seconds = 0.1
"""


@dataclass(frozen=True)
class Shop:
    """A folder with foresight.toml, actions.toml, registry and state. Champions are shop-churn/1 and shop-value/1, the
    challenger of churn is shop-churn/2."""

    folder: Path

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder)

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry.of(self.settings)

    @property
    def registry_folder(self) -> Path:
        return self.folder / "registry"

    def publish(self, rows: pd.DataFrame, name: str = "other") -> None:
        """Put features in service."""
        with OnlineStore.of(self.settings) as online:
            online.load(snapshot_of(self.folder / name, rows, as_of=AS_OF, fingerprint=name))

    def files_of(self, name: str, version: int) -> Path:
        """The native files of a version."""
        registry = self.registry
        return registry.download(next(one for one in registry.versions(name) if one.version == version))

    def copied(self, folder: Path, service: str = "") -> Shop:
        """The same in another folder, to be changed; ``service``: further lines of ``[service]``."""
        shutil.copytree(self.folder, folder)
        (folder / "foresight.toml").write_text(TOML + service, encoding="utf-8")
        other = Shop(folder)
        other.registry.relocate()
        return other

    @contextmanager
    def served(self) -> Iterator[tuple[httpx.Client, LiveModels]]:
        """The service as it starts in a worker, at 9 o'clock of a standing day."""
        live = LiveModels(self.settings, clock=lambda: ASKED_AT)
        answering = live.first_or_waiting()

        def deployed() -> Deployment:
            store = DecisionStore(self.settings.state_url)
            limits = Limits(max_body_bytes=100_000, max_ids=100)
            return Deployment(answering.source, store, limits, challenger=answering.challenger, live=live)

        with running(deployed) as client:
            yield client, live


def make_shop(folder: Path) -> Shop:
    """Train, register and publish; takes seconds."""
    folder.mkdir(parents=True)
    (folder / "foresight.toml").write_text(TOML, encoding="utf-8")
    (folder / "actions.toml").write_text(CATALOGUE, encoding="utf-8")
    shop = Shop(folder)
    for number, seed in enumerate(CHURN_SEEDS, start=1):
        _register(shop, "churn", churn_predictor(seed=seed), f"churn{number}")
    for number, scale in enumerate((0.01, 0.02), start=1):
        _register(shop, "value", value_predictor(scale=scale), f"value{number}")
    _register(shop, "uplift", effects(), "uplift1")
    for kind in ("churn", "value"):
        shop.registry.promote(f"shop-{kind}", 1)
    shop.registry.set_alias("shop-churn", "challenger", 2)
    shop.publish(CUSTOMERS, "first")
    return shop


def effects() -> UpliftPredictor:
    """The coupon, with the same effect on everybody."""
    coupon = ActionEffect(
        action="coupon",
        effect=0.25,
        error=0.01,
        centre=(0.0, 0.0, 0.0),
        positives=100,
        controls=100,
        status=EffectStatus.LEARNING,
    )
    manifest = UpliftManifest(
        project="shop",
        currency="USD",
        as_of=AS_OF,
        data_fingerprint=FINGERPRINT,
        columns=(),
        outcomes=(),
        siblings=(coupon,),
    )
    return UpliftPredictor(manifest, {})


def _register(shop: Shop, kind: str, predictor: Predictor, name: str) -> None:
    run = TrainingRun(
        name=f"shop-{kind}",
        kind=kind,
        project="shop",
        folder=saved(predictor, shop.folder / "files" / name),
        parameters={},
        metrics={"figure": 0.5},
        data=TrainingData("shop", FINGERPRINT, AS_OF, 300),
        input_example=features().head(4),
        tags={"verdict": "there was no champion yet"},
    )
    shop.registry.log_and_register(run)
