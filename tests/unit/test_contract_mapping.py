"""The contract of unified profiles: which columns a project fills, and contracts with several versions."""

from __future__ import annotations

from kernel.errors import DataError
from tests.projects import TABLES, TinyProject, refusal, rows

# What is mapped, and subscriptions

PART = (
    '[[tables.activities]]\nfrom = "{}"\ncolumns = {{ customer_id = "id", event_time = "at", kind = "\'mail\'"{} }}\n'
)


def test_a_column_is_mapped_where_some_mapping_of_its_table_fills_it(project: TinyProject) -> None:
    project.write("mails.csv", "id,at,mood\nanna,2024-01-01,0.5\n")
    sources = TABLES.replace("[sources]", '[sources]\nmails = "mails.csv"')
    both = project.profiles(sources + PART.format("mails", ', sentiment = "mood"') + PART.format("sales", ""))
    assert both.mapped["activities"] == {"customer_id", "event_time", "kind", "sentiment"}
    one = project.profiles(sources + PART.format("mails", ', sentiment = "mood"'))
    assert one.mapped["activities"] == {"customer_id", "event_time", "kind", "sentiment"}
    assert "subscriptions" not in one.mapped


CONTRACTS = (
    "id,contract,changed,start,months,plan,renews\n"
    "anna,s1,2024-01-01,2024-01-01,12,basic,\n"
    "anna,s1,2024-02-01,2024-01-01,12,gold,false\n"
    "bert,s2,2024-01-05,2024-01-05,,gold,\n"
)
SUBSCRIPTIONS = TABLES.replace("[sources]", '[sources]\ncontracts = "contracts.csv"') + (
    '[tables.subscriptions]\nfrom = "contracts"\n'
    'columns = { customer_id = "id", subscription_id = "contract", event_time = "changed", start_date = "start", '
    'recurrence_months = "months", plan = "plan" }\n'
)


def test_a_subscription_has_a_row_for_each_version(project: TinyProject) -> None:
    project.write("contracts.csv", CONTRACTS)
    found = "SELECT subscription_id, plan, is_recurring FROM subscriptions ORDER BY event_time"
    assert rows(project.profiles(SUBSCRIPTIONS), found) == [
        ("s1", "basic", True),
        ("s2", "gold", False),
        ("s1", "gold", True),
    ]
    mapped = SUBSCRIPTIONS.replace('plan = "plan"', 'plan = "plan", is_recurring = "renews"')
    assert rows(project.profiles(mapped), found) == [
        ("s1", "basic", True),
        ("s2", "gold", False),
        ("s1", "gold", False),
    ]


def test_a_version_of_a_subscription_twice(project: TinyProject) -> None:
    project.write("contracts.csv", CONTRACTS + CONTRACTS.splitlines()[1] + "\n")
    error = refusal(project, DataError, SUBSCRIPTIONS)
    assert error.what == "2 of 4 rows share their key (subscription_id, event_time) with another row."
