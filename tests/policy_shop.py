"""A shop whose actions work for some customers, and logs of decisions about it that another policy made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
from sqlalchemy import create_engine, select

from foresight.project import Project
from kernel.settings import load_settings
from serving.decisioning.decide import decide
from serving.decisioning.decision import Candidate, Decision
from serving.decisioning.policy import PolicySettings
from serving.feedback.store import DecisionStore
from serving.feedback.tables import DECISIONS
from serving.runtime import open_catalogue
from serving.schemas import FeedbackEvent, FeedbackRequest
from tests.projects import TinyProject
from tests.shops import ENDS, one_family, sound_shop

KNOWN = ENDS.to_pydatetime().replace(tzinfo=UTC)
LEARNED_FROM, *JUDGED_ON = (KNOWN - timedelta(days=days) for days in (150, 95, 60))
LEARNED = LEARNED_FROM + timedelta(days=40)
HALF = 45  # years
WINDOW = 30
ORDER = 40.0  # of a customer whom an action brings back
EXPLORE = PolicySettings(thompson=0.0, uniform=1.0)  # everything alike, so that a small log tells much

ACTIONS = """
[[action]]
id = "mail"
label = "Write a letter"
group = "contacts"
channels = ["mail"]
outcome = { name = "order_again", window_days = 30 }
cost = { contact = 0.5 }
value = { margin = 20.0 }
prior = { rate = 0.05, strength = 20 }

[[action]]
id = "call"
label = "Call"
group = "contacts"
channels = ["phone"]
outcome = { name = "order_again", window_days = 30 }
cost = { contact = 2.0 }
value = { margin = 20.0 }
prior = { rate = 0.05, strength = 20 }
"""
VISIT = """
[[action]]
id = "visit"
label = "Visit"
group = "contacts"
channels = ["person"]
outcome = { name = "order_again", window_days = 30 }
cost = { contact = 1.0 }
value = { margin = 20.0 }
prior = { rate = 0.3, strength = 20 }
"""
Change = Callable[[list[Decision]], list[Decision]]


@dataclass(frozen=True)
class PolicyShop:
    """A folder with one registry, and a log of decisions for each configuration.

    Attributes:
        folder: holds the tables, actions.toml and the registry.
        sales: as they are in the tables, before any decision.
    """

    folder: Path
    sales: pd.DataFrame

    def project(self, log: str) -> Project:
        """The project with the log of decisions called ``log``."""
        file = self.folder / f"{log}.toml"
        if not file.exists():
            text = (self.folder / "foresight.toml").read_text(encoding="utf-8")
            file.write_text(text + f'\n[state]\nfolder = "state_{log}"\n', encoding="utf-8")
        return Project.open(file)

    def config(self, log: str) -> Path:
        return self.project(log).settings.file

    def log(
        self,
        log: str,
        moments: Sequence[datetime],
        *,
        policy: PolicySettings = EXPLORE,
        share: float = 1.0,
        change: Change = lambda decisions: decisions,
        seed: int = 10,
    ) -> list[Decision]:
        """Decide for the customers at each moment, and report what became of it.

        Args:
            share: of the customers, decided for.
            change: what is otherwise with the decisions, before they are recorded and followed.
        """
        project = self.project(log)
        catalogue = open_catalogue(project.settings, project.feature_set)
        assert catalogue is not None
        random = np.random.default_rng(seed)
        made: list[Decision] = []
        store = DecisionStore(project.settings.state_url)
        for moment in moments:
            features = project.features(as_of=moment)
            features = features.iloc[: int(share * len(features))]
            frame = features.assign(customer_id=features.index, status="scored", lifetime_value=50.0)
            decisions = change(decide(catalogue, frame, as_of=moment, settings=policy, currency="EUR"))
            decided = moment + timedelta(hours=8)
            store.log_decisions(decisions, decided)
            for decision in decisions:
                if converts(decision, float(features.loc[decision.customer_id, "age"]), random):
                    days = float(random.uniform(0, 29))
                    store.record_feedback(_converted(decision, decided + timedelta(days=days)), decided + _LATER)
            made += decisions
        store.close()
        return made

    def hold_out(self, log: str, decisions: Sequence[Decision]) -> None:
        """Let the record of decisions to do nothing say that their customers were held out."""
        engine = create_engine(self.project(log).settings.state_url)
        with engine.begin() as connection:
            for one in decisions:
                found = connection.execute(
                    select(DECISIONS.c.content).where(DECISIONS.c.decision_id == one.decision_id)
                )
                content = orjson.loads(found.scalar_one()) | {"mode": "holdout"}
                connection.execute(
                    DECISIONS.update()
                    .where(DECISIONS.c.decision_id == one.decision_id)
                    .values(content=orjson.dumps(content).decode())
                )
        engine.dispose()

    def sell(self, log: str, decisions: Sequence[Decision]) -> None:
        """Let those of whom a conversion was reported really have bought."""
        store = DecisionStore(load_settings(self.config(log)).state_url)
        with store.reading() as connection:
            reported = pd.read_sql("SELECT decision_id, event_time FROM feedback", connection)
        store.close()
        of = {decision.decision_id: decision.customer_id for decision in decisions}
        bought = reported[reported["decision_id"].isin(list(of))]
        moments = pd.to_datetime(bought["event_time"], utc=True).dt.tz_localize(None)
        added = pd.DataFrame(
            {
                "customer_id": bought["decision_id"].map(of),
                "transaction_id": [f"again{i}" for i in range(len(bought))],
                "event_time": moments,
                "ingested_at": moments + pd.Timedelta(minutes=5),
                "amount": ORDER,
                "channel": "web",
            }
        )
        TinyProject(self.folder).parquet("sales.parquet", pd.concat([self.sales, added], ignore_index=True))


_LATER = timedelta(days=30)


def policy_shop(folder: Path) -> PolicyShop:
    """The shop with champions, and a model of effects that was learned from the log ``judged`` up to ``LEARNED``."""
    shop = sound_shop()
    shop.windows += "step_days = 30\nmax_cutoffs = 3\n\n[churn.trees]\nrounds = 40\nlearning_rate = 0.1\n"
    shop.windows += '\n[actions]\ncatalogue = "actions.toml"\n'
    tiny = TinyProject(folder)
    tiny.write("actions.toml", ACTIONS)
    with one_family():
        Project.open(shop.settings(tiny).file).train(as_of=LEARNED_FROM)
    made = PolicyShop(folder, shop.sales)
    made.log("judged", [LEARNED_FROM])
    made.project("judged").train_actions(known_until=LEARNED)
    return made


def converts(decision: Decision, age: float, random: np.random.Generator) -> bool:
    """A letter brings back the older half and repels the others; a call changes nothing."""
    letter = 0.4 if age >= HALF else -0.2
    return bool(random.random() < 0.3 + (letter if decision.chosen == "mail" else 0.0))


def doing_nothing(decisions: list[Decision], count: int) -> list[Decision]:
    """The first few customers get nothing, whatever the policy would have drawn."""
    return [replace(one, chosen="do_nothing", propensity=1.0) for one in decisions[:count]] + decisions[count:]


def with_probabilities(decisions: list[Decision], of: Callable[[Candidate], float]) -> list[Decision]:
    """The decisions as if they had been drawn with other probabilities."""
    changed: list[Decision] = []
    for decision in decisions:
        candidates = tuple(replace(one, probability=of(one)) for one in decision.candidates)
        drawn = next(one.probability for one in candidates if one.action_id == decision.chosen)
        changed.append(replace(decision, candidates=candidates, propensity=drawn))
    return changed


def _converted(decision: Decision, moment: datetime) -> FeedbackRequest:
    return FeedbackRequest(
        event_id=f"bought-{decision.decision_id}",
        decision_id=decision.decision_id,
        action=str(decision.chosen),
        event=FeedbackEvent.CONVERTED,
        event_time=moment,
    )
