"""A snapshot that is published while the service runs is in its next answer; what is stored stays out of its memory."""

from __future__ import annotations

import httpx

from foresight.service_process import running_service
from kernel.clock import parse_as_of
from serving.panel.words import Words
from tests.e2e.conftest import AS_OF, Trained

EARLIER = "2017-10-01"
NUMBERS = ("churn_probability", "lifetime_value", "probability_alive", "expected_purchases")


def test_the_service_answers_from_the_newest_snapshot(trained: Trained) -> None:
    [customer_id] = trained.customers("scored", 1)
    before = trained.project.score(as_of=EARLIER).set_index("customer_id")
    with running_service(trained.config, trained.folder / "new.log") as address:

        def asked() -> dict[str, object]:
            return httpx.get(f"{address}/v1/customers/{customer_id}").raise_for_status().json()

        # A notebook that looks at another date puts nothing in service.
        assert asked()["as_of"] == f"{AS_OF}T00:00:00Z"
        try:
            trained.project.publish(as_of=EARLIER)
            answer = asked()
            assert answer["as_of"] == f"{EARLIER}T00:00:00Z"
            assert {name: answer[name] for name in NUMBERS} == before.loc[customer_id, list(NUMBERS)].to_dict()
            [made] = httpx.post(f"{address}/v1/recommendations", json={"customer_id": customer_id}).json()[
                "recommendations"
            ]
            assert made["as_of"] == f"{EARLIER}T00:00:00Z"
            assert f"As of {Words.of('en').day(parse_as_of(EARLIER))}" in httpx.get(f"{address}/").text
        finally:
            trained.project.publish(as_of=AS_OF)
        again = asked()
        assert again["as_of"] == f"{AS_OF}T00:00:00Z"
        assert {name: again[name] for name in NUMBERS} == trained.batch.loc[customer_id, list(NUMBERS)].to_dict()
