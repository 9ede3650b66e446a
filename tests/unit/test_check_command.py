"""foresight check: the table, JSON and the page; exit codes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from features.usability.report import RULES, usability
from foresight.check_page import render_check, verdict
from foresight.cli import app
from foresight.console import findings_table
from foresight.project import Project
from kernel.errors import UsageError
from tests.projects import TinyProject
from tests.shops import Shop, sound_shop


@pytest.fixture
def thin(project: TinyProject) -> Path:
    """300 customers: an error, and with so few a warning that fewer than 100 churned."""
    shop = sound_shop()
    shop.sales = shop.sales[shop.sales["customer_id"].isin(shop.ids[:300])]
    return written(project, shop)


@pytest.fixture
def sound(project: TinyProject) -> Path:
    return written(project, sound_shop())


def written(project: TinyProject, shop: Shop) -> Path:
    shop.report(project)
    return project.folder


def check(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", "-c", str(folder), *arguments], env={"COLUMNS": "160"})


def test_an_error_is_exit_code_1(thin: Path) -> None:
    ran = check(thin)
    assert ran.exit_code == 1
    text = " ".join(ran.output.split())
    assert text.startswith("tiny: 1,200 customers, ")
    assert "as of 2024-02-05" in text
    assert "U103" in text and "300 customers" in text and "too few customers" in text


def test_nothing_to_report(sound: Path) -> None:
    ran = check(sound)
    assert ran.exit_code == 0
    assert "Nothing to report." in ran.output


def test_json_is_all_there_is_on_standard_output(thin: Path, tmp_path: Path) -> None:
    ran = check(thin, "--format", "json", "--out", str(tmp_path / "check.json"))
    assert ran.exit_code == 1
    report = json.loads(ran.stdout)
    assert report["states"]["error"] == 1
    assert report["findings"][0]["code"] == "U103"
    assert json.loads((tmp_path / "check.json").read_text(encoding="utf-8")) == report


def test_another_moment(sound: Path) -> None:
    ran = check(sound, "--format", "json", "--as-of", "2023-04-01")
    report = json.loads(ran.stdout)
    assert report["as_of"] == "2023-04-01T00:00:00Z"
    assert {one["code"] for one in report["findings"]} >= {"U101", "U102"}


@pytest.mark.parametrize("target", ["check.pdf", "nowhere/check.html"])
def test_a_report_that_cannot_be_written_is_wrong_use_before_anything_is_read(tmp_path: Path, target: str) -> None:
    ran = check(tmp_path / "no project", "--out", str(tmp_path / target))
    assert isinstance(ran.exception, UsageError)
    assert ran.exception.where == "--out"


class Reader(HTMLParser):
    """Text and tags of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.attributes, self.open = "", [], []
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += f" {data}"


def test_the_page_says_what_to_do_and_loads_nothing(thin: Path, tmp_path: Path) -> None:
    assert check(thin, "--out", str(tmp_path / "check.html")).exit_code == 1
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    read = Reader(page)
    for said in ("As of 5 Feb 2024", "1 error, 1 warning and 0 recommendations", "Too few customers", "U103"):
        assert said in read.text
    assert "Required: 500 customers" in read.text
    assert "Actual: 300 customers" in read.text
    assert "What to do: Bring customers of more shops" in read.text
    assert "default-src 'none'" in page
    assert not [one for one in read.attributes if one[1] in ("src", "href")]
    assert not re.search(r"url\(|@import|<script|https?://", page)
    assert 'name="viewport"' in page


def test_the_page_of_a_sound_shop(sound: Path) -> None:
    project = Project.open(sound)
    with project.profiles:
        report = project.usability()
    assert verdict(report) == "Nothing was found to be wrong or thin."
    assert "Nothing to report" in Reader(render_check(report, datetime(2024, 2, 6, tzinfo=UTC))).text


ODD = RULES["U308"].finding(
    "All of [red] it.", actual="1 <i>value", required="2 values", table="customers", column="[b]odd"
)


def test_the_page_escapes_what_it_shows(project: TinyProject) -> None:
    report = replace(sound_shop().report(project), findings=(ODD,))
    page = render_check(report, datetime(2024, 2, 6, tzinfo=UTC))
    assert "1 &lt;i&gt;value" in page
    assert "<i>" not in page


@pytest.mark.parametrize("width", [80, 160])
def test_square_brackets_are_no_markup_of_the_terminal(width: int) -> None:
    console = Console(width=width)
    with console.capture() as shown:
        console.print(findings_table([ODD]))
    assert "[b]odd" in shown.get()
    assert "All of [red] it." in shown.get()
    assert max(map(len, shown.get().splitlines())) <= width
    for figure in ("U308", "train", "recommendation", "constant column", "2 values", "1 <i>value"):
        assert figure in shown.get()


def test_asking_twice_gives_the_same(sound: Path) -> None:
    loaded = Project.open(sound)
    with loaded.profiles:
        first, second = loaded.usability(), loaded.usability()
        assert first == second
        assert loaded.findings == ()
        assert usability(loaded.profiles, loaded.settings, now=datetime(2024, 6, 1, tzinfo=UTC)) == first
