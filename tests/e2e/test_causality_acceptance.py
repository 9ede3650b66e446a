"""Complete Journey's campaigns were not randomised: the check refuses to claim what type A changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from foresight.effect_check import EffectCheck, effect_lines
from foresight.project import Project

EXAMPLE = Path(__file__).parents[2] / "examples" / "complete_journey" / "foresight.toml"
START = "2017-08-08"  # of the campaign of type A with a spring before it and an autumn after it
DAYS = 47  # it lasts so long


@pytest.fixture(scope="module")
def found() -> EffectCheck:
    return Project.open(EXAMPLE).check_effect("campaign_received", detail="Type A", start=START, days=DAYS)


def test_no_effect_of_type_a_may_be_claimed(found: EffectCheck) -> None:
    verdict = found.verdict
    assert (found.treated, found.untreated) == (1077, 1392)
    assert not verdict.holds
    assert verdict.sentence.startswith("No effect may be claimed: nobody drew who is treated")
    # Half of the households were nearly sure to get the booklet, or not to: by what they had bought before.
    assert not {check.name: check.holds for check in verdict.checks}["overlap"]


def test_the_naive_difference_is_many_times_what_is_left(found: EffectCheck) -> None:
    verdict = found.verdict
    assert verdict.naive.low > 200
    assert abs(verdict.adjusted.estimate) < 30
    assert verdict.adjusted.low < 0 < verdict.adjusted.high


def test_what_a_person_reads(found: EffectCheck) -> None:
    lines = list(effect_lines(found))
    assert lines[1] == found.verdict.sentence
    assert re.match(r"As they are, treated less untreated: \+258\.\d+ USD \(95% interval \+237", lines[2])
    assert re.search(r"\+4\.\d+ USD \(95% interval -30\.\d+ to \+36\.\d+\), which is no effect to claim$", lines[3])
    assert any(line.startswith("FAILED  overlap: 49 % of the customers") for line in lines)
    assert lines[-1].endswith("foresight plan-pilot")
