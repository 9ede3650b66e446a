"""The service is killed at any moment, with all its processes or one worker, while clients ask and report."""

from __future__ import annotations

import random
import time

import pytest

from tests.killed import Service, check_kept, under_load, until_more


@pytest.mark.parametrize(
    "kills", [pytest.param(5, id="in short"), pytest.param(200, id="for long", marks=pytest.mark.soak)]
)
def test_what_was_acknowledged_survives(state_url: str, kills: int) -> None:
    chance = random.Random(kills)
    service = Service(state_url, workers=2)
    try:
        with under_load(service) as promised:
            for number in range(kills):
                until_more(promised)
                time.sleep(chance.uniform(0, 0.2))
                if number % 40 == 39:
                    service.kill_all()
                    service.start()
                else:
                    service.kill_worker(chance)
            until_more(promised)
            service.kill_all()  # while clients wait for answers
    finally:
        service.kill_all()
    check_kept(state_url, promised)
    print(
        f"{kills} kills: {len(promised.decisions):,} decisions and {len(promised.feedback):,} events acknowledged, "
        f"{promised.broken:,} requests broken off, {promised.sent_again:,} events sent again, "
        f"{len(promised.refused)} refused"
    )
    assert promised.refused == []
