"""Champions change while the service runs: what is fit is put in use, what is not is refused, and it always answers."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kernel.errors import RegistryError
from kernel.golden import GOLDEN
from kernel.model_registry import CHALLENGER
from serving.live import LiveModels, NoModelsYet
from serving.live_metrics import live_metrics
from serving.shadow_log import ShadowLog
from tests.doubles.live import CATALOGUE, CUSTOMERS, Shop, make_shop
from tests.doubles.promotions import promote_under_load

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own
ONE = "c0007"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop(tmp_path_factory.mktemp("live") / "shop")


def until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def score(client: httpx.Client, customer_id: str = ONE) -> dict[str, Any]:
    [found] = client.post("/v1/score", json={"customer_id": customer_id}).raise_for_status().json()["scores"]
    return found


def models(client: httpx.Client) -> list[str]:
    return client.get("/readyz").raise_for_status().json()["models"]


def notes(client: httpx.Client) -> list[str]:
    return client.get("/readyz").raise_for_status().json()["notes"]


def counted(name: str) -> float:
    return live_metrics().registry.get_sample_value(name) or 0.0


def test_promotion_and_rollback_are_followed(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    with shop.served() as (client, _):
        first = score(client)
        assert (first["churn_model"], first["value_model"]) == ("shop-churn/1", "shop-value/1")
        shop.registry.promote("shop-churn", 2)
        shop.registry.promote("shop-value", 2)
        until(lambda: models(client) == ["shop-churn/2", "shop-value/2"])
        second = score(client)
        assert (second["churn_model"], second["value_model"]) == ("shop-churn/2", "shop-value/2")
        assert second["lifetime_value"] == pytest.approx(2 * first["lifetime_value"])
        shop.registry.rollback("shop-churn")
        shop.registry.rollback("shop-value")
        until(lambda: models(client) == ["shop-churn/1", "shop-value/1"])
        again = score(client)
    assert again == first


def test_learned_effects_are_followed(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    live = LiveModels(shop.settings)
    [before] = live.first().source.by_ids([ONE])
    shop.registry.promote("shop-uplift", 1)
    answering = live.poll()
    assert answering is not None
    [after] = answering.source.by_ids([ONE])
    assert before.decision is not None
    assert after.decision is not None
    assert before.decision.model_versions == ("shop-churn/1", "shop-value/1")
    assert after.decision.model_versions == ("shop-churn/1", "shop-uplift/1", "shop-value/1")
    assert [one.uplift for one in before.decision.candidates if one.action_id == "coupon"] == [0.05]
    assert [one.uplift for one in after.decision.candidates if one.action_id == "coupon"] == [0.25]
    live.stop()


def test_a_damaged_model_is_refused_and_the_old_one_answers(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    booster = shop.files_of("shop-churn", 2) / "booster.txt"
    whole = booster.read_bytes()
    refused = counted("foresight_model_swap_refused_total")
    with shop.served() as (client, _):
        booster.write_bytes(whole[: len(whole) // 2])
        shop.registry.promote("shop-churn", 2)
        until(lambda: bool(notes(client)))
        assert notes(client) == [
            "newer models are not in use: shop-churn/2 cannot be used. The model's file 'booster.txt' is not the one "
            "that was stored."
        ]
        assert score(client)["churn_model"] == "shop-churn/1"
        time.sleep(0.5)  # some looks later it is still one refusal
        assert counted("foresight_model_swap_refused_total") == refused + 1
        assert counted("foresight_champion_refused") == 1
        booster.write_bytes(whole)
        until(lambda: models(client) == ["shop-churn/2", "shop-value/1"])
        assert notes(client) == []
        assert counted("foresight_champion_refused") == 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (CUSTOMERS.drop(columns="spend_90d"), "the feature 'spend_90d' in version 1, which is not there."),
        (CUSTOMERS.assign(orders_30d=1.0), None),
    ],
)
def test_features_that_do_not_fit_the_models(shop: Shop, tmp_path: Path, rows: Any, said: str | None) -> None:
    live = LiveModels(shop.copied(tmp_path / "shop").settings)
    live.first()
    Shop(tmp_path / "shop").publish(rows)
    assert (live.poll() is None) == (said is not None), live.state
    assert live.state.refused == (None if said is None else f"shop-churn/1 cannot be used. The model needs {said}")
    live.stop()


def test_an_edited_catalogue_is_followed_and_a_broken_one_refused(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    catalogue = shop.folder / "actions.toml"
    with shop.served() as (client, _):
        first = score(client)["policy"]
        catalogue.write_text(CATALOGUE.replace("margin = 30.0", "margin = 60.0"), encoding="utf-8")
        until(lambda: score(client)["policy"] != first)
        second = score(client)["policy"]
        catalogue.write_text(CATALOGUE.replace("margin", "margn"), encoding="utf-8")
        until(lambda: bool(notes(client)))
        assert "Unknown key 'margn'" in notes(client)[0]
        assert score(client)["policy"] == second
        catalogue.write_text(CATALOGUE, encoding="utf-8")
        until(lambda: score(client)["policy"] == first)


def test_the_registry_is_away_while_the_service_runs(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    away = shop.registry_folder.with_name("away")
    with shop.served() as (client, _):
        shop.registry_folder.rename(away)
        until(lambda: bool(notes(client)))
        assert notes(client) == ["the registry is away: There is no model registry here."]
        assert counted("foresight_registry_away") == 1
        assert score(client)["churn_model"] == "shop-churn/1"
        assert not shop.registry_folder.exists()  # looking made nothing
        away.rename(shop.registry_folder)
        until(lambda: not notes(client))
        assert counted("foresight_registry_away") == 0
        shop.registry.promote("shop-churn", 3)
        until(lambda: models(client) == ["shop-churn/3", "shop-value/1"])


def test_the_registry_is_away_at_the_start(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    with shop.served() as (client, _):
        first = score(client)
    away = shop.registry_folder.with_name("away")
    shop.registry_folder.rename(away)
    with shop.served() as (client, _):
        assert score(client) == first
        assert notes(client) == ["the registry is away: There is no model registry here."]
        away.rename(shop.registry_folder)
        shop.registry.promote("shop-churn", 2)
        until(lambda: models(client) == ["shop-churn/2", "shop-value/1"])


def test_before_there_was_ever_a_model_the_service_waits(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop = shop.copied(tmp_path / "shop")
    away = shop.registry_folder.with_name("away")
    shop.registry_folder.rename(away)
    with pytest.raises(RegistryError, match="no model registry here"):
        LiveModels(shop.settings).first()
    assert caplog.text == ""  # the error says it all
    with shop.served() as (client, live):
        assert counted("foresight_registry_away") == 1
        assert client.get("/livez").status_code == 200
        assert client.get("/").status_code == 503
        for answer in (client.get("/readyz"), client.post("/v1/score", json={"customer_id": ONE})):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
            assert answer.json()["type"] == "urn:foresight:problem:not-ready"
        assert live.state.champions == ()
        away.rename(shop.registry_folder)
        until(lambda: client.get("/readyz").status_code == 200)
        assert counted("foresight_registry_away") == 0
        assert score(client)["churn_model"] == "shop-churn/1"


def test_a_damaged_champion_at_the_start_leaves_the_last_good_one(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    LiveModels(shop.settings).first()
    (shop.files_of("shop-churn", 2) / GOLDEN).write_text("{}", encoding="utf-8")
    shop.registry.promote("shop-churn", 2)
    live = LiveModels(shop.settings)
    assert live.first().source.versions().churn_model == "shop-churn/1"
    assert live.state.notes == (
        "newer models are not in use: shop-churn/2 cannot be used. The model's golden rows cannot be read "
        "(ValidationError).",
    )
    assert live.poll() is None
    live.stop()


def test_a_champion_damaged_while_the_service_was_down_is_answered_by_its_copy(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    LiveModels(shop.settings).first()
    booster = shop.files_of("shop-churn", 1) / "booster.txt"
    whole = booster.read_bytes()
    booster.write_bytes(whole[:-1])
    refused = counted("foresight_model_swap_refused_total")
    with shop.served() as (client, live):
        assert score(client)["churn_model"] == "shop-churn/1"
        time.sleep(0.5)  # some looks later it still stands, as one refusal
        assert notes(client) == [
            "newer models are not in use: shop-churn/1 cannot be used. The model's file 'booster.txt' is not the one "
            "that was stored."
        ]
        assert counted("foresight_model_swap_refused_total") == refused + 1
        assert counted("foresight_champion_refused") == 1
        booster.write_bytes(whole)
        until(lambda: notes(client) == [])
        assert counted("foresight_champion_refused") == 0
        assert live.state.champions == ("shop-churn/1", "shop-value/1")


def test_where_the_copy_is_damaged_too_the_champion_is_what_is_said(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    LiveModels(shop.settings).first()
    of_registry = shop.files_of("shop-churn", 1) / "booster.txt"
    [of_copy] = (shop.folder / "state" / "shop" / "champions").glob("*/churn/booster.txt")
    for booster in (of_registry, of_copy):
        booster.write_bytes(b"")
    with pytest.raises(RegistryError, match=r"^shop-churn/1 cannot be used\.") as refused:
        LiveModels(shop.settings).first()
    assert refused.value.where == str(of_registry)


def test_old_copies_are_cleared_away(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    live = LiveModels(shop.settings)
    live.first()
    for version in (2, 3, 1, 2):
        shop.registry.promote("shop-churn", version)
        assert live.poll() is not None
    live.stop()
    assert len(list((shop.folder / "state" / "shop" / "champions").iterdir())) == 2
    shop.registry_folder.rename(shop.folder / "away")
    assert LiveModels(shop.settings).first().source.versions().churn_model == "shop-churn/2"


def test_the_old_models_leave_the_memory(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop")
    live = LiveModels(shop.settings)
    old = live.first().source
    old.by_ids([ONE])
    gone = weakref.ref(old.scorer.churn.booster)  # pyright: ignore[reportAttributeAccessIssue]
    shop.registry.promote("shop-churn", 2)
    gc.collect()
    gc.disable()  # without the collector, as what was frozen goes
    try:
        new = live.poll()
        assert new is not None
        assert gone() is not None
        del old
        assert gone() is None
    finally:
        gc.enable()
    live.stop()


def test_the_canary_answers_its_share(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop", "canary = 0.3\n")
    ids = [*CUSTOMERS.index, CUSTOMERS.index[0]]
    with shop.served() as (client, _):
        answers = client.post("/v1/score", json={"customer_ids": ids}).json()["scores"]
        assert [answer["customer_id"] for answer in answers] == ids
        by = {answer["customer_id"]: answer["churn_model"] for answer in answers}
        taken = {name for name, model in by.items() if model == "shop-churn/2"}
        assert set(by.values()) == {"shop-churn/1", "shop-churn/2"}
        assert 9 <= len(taken) <= 27  # of 60; 18 are expected
        for name in (min(taken), min(set(by) - taken)):
            assert client.get(f"/v1/customers/{name}").json()["churn_model"] == by[name]
            assert client.get(f"/v1/changes/{name}").json()["churn_model"] == by[name]
            assert by[name] in client.get(f"/panel/{name}").text
            [made] = client.post("/v1/recommendations", json={"customer_id": name}).json()["recommendations"]
            assert made["churn_model"] == by[name]
        # The challenger becomes champion: now everybody has it, and there is none beside it.
        shop.registry.promote("shop-churn", 2)
        until(lambda: client.get("/readyz").json()["challengers"] == [])
        answers = client.post("/v1/score", json={"customer_ids": ids}).json()["scores"]
        assert {answer["churn_model"] for answer in answers} == {"shop-churn/2"}


def test_the_decision_of_a_canary_customer_names_the_challenger(shop: Shop, tmp_path: Path) -> None:
    live = LiveModels(shop.copied(tmp_path / "shop", "canary = 1\n").settings)
    answering = live.first()
    assert answering.challenger is not None
    assert answering.challenger.takes(ONE)
    [insight] = answering.challenger.source.by_ids([ONE])
    assert insight.decision is not None
    assert insight.decision.model_versions == ("shop-churn/2", "shop-value/1")
    live.stop()


def test_a_challenger_that_cannot_be_used_holds_no_champion_up(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop", "canary = 0.5\n")
    (shop.files_of("shop-churn", 2) / "booster.txt").unlink()
    live = LiveModels(shop.settings)
    answering = live.first()
    assert answering.challenger is None
    assert live.state.challenger_refused == (
        "shop-churn/2 cannot be used. The model's file 'booster.txt' is not the one that was stored."
    )
    shop.registry.promote("shop-churn", 3)
    assert live.poll() is not None
    assert live.state.champions == ("shop-churn/3", "shop-value/1")
    live.stop()


def test_the_shadow_is_logged_and_never_shown(shop: Shop, tmp_path: Path) -> None:
    shop = shop.copied(tmp_path / "shop", 'shadow = "challenger"\n')
    ids = list(CUSTOMERS.index[:20])
    with shop.served() as (client, _):
        for _ in range(2):  # asked twice, compared once
            answers = client.post("/v1/score", json={"customer_ids": ids}).json()["scores"]
        assert {answer["churn_model"] for answer in answers} == {"shop-churn/1"}
        profile = {"customer": {"customer_id": "new"}, "as_of": "2017-11-01"}
        assert client.post("/v1/score", json={"profile": profile}).status_code == 200
    log = ShadowLog.of(shop.settings)
    kept = log.read().set_index("customer_id")
    log.close()
    assert set(kept.index) == {*ids, "new"}
    assert set(kept["champions"]) == {"shop-churn/1 shop-value/1"}
    assert set(kept["challengers"]) == {"shop-churn/2 shop-value/1"}
    shown = {answer["customer_id"]: answer["churn_probability"] for answer in answers}
    shop.registry.set_alias("shop-churn", CHALLENGER, 1)
    shop.registry.promote("shop-churn", 2)
    live = LiveModels(shop.settings)
    unseen = {one.score.customer_id: one.score.churn_probability for one in live.first().source.by_ids(ids)}
    live.stop()
    pairs = kept.loc[ids, ["churn_probability", "churn_probability_challenger"]].astype(object)
    for name, (champion, challenger) in zip(ids, pairs.where(pairs.notna(), None).to_numpy(), strict=True):
        assert (champion, challenger) == (shown[name], unseen[name])


def test_nothing_answers_before_there_are_models() -> None:
    with pytest.raises(Exception, match="no models yet"):
        NoModelsYet().versions()


def test_promotions_under_load(shop: Shop, tmp_path: Path) -> None:
    load = promote_under_load(shop.copied(tmp_path / "shop"), promotions=4)
    assert load.errors == []
    assert set(load.answers) == {"shop-churn/1", "shop-churn/2", "shop-churn/3"}
