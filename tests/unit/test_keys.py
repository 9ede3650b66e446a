"""API keys, and what a service in production must have."""

from __future__ import annotations

import hashlib
import tomllib
from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from foresight.cli import app
from kernel.clock import utc_now
from kernel.errors import UsageError
from kernel.service_settings import KeySettings, Scope, ServiceSettings
from serving.http import paths
from serving.http.keys import ApiKey, configured_keys, find_key
from serving.http.safety import require_safe
from serving.http.tokens import read_token
from tests.projects import TinyProject

LOOPBACK = "127.0.0.1"
STRONG = "Zk3vQ9xT1mB7sW5yLr8nUa2jHd6eGf4cPo0i"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def production(**given: object) -> ServiceSettings:
    return ServiceSettings.model_validate({"environment": "production", **given})


def test_keys_come_from_the_file_and_the_environment() -> None:
    settings = ServiceSettings(
        api_keys_sha256=(digest("one").upper(), digest("two")),
        keys=(KeySettings(name="crm", sha256=digest("four").upper(), scopes=(Scope.READ,), requests_per_minute=9),),
    )
    keys = configured_keys(settings, {"FORESIGHT_API_KEY": "three"})
    assert keys[0] == ApiKey("crm", digest("four"), frozenset({Scope.READ}), None, 9)
    everything = frozenset({Scope.READ, Scope.WRITE, Scope.ADMIN})
    assert keys[1:] == tuple(
        ApiKey(f"key-{digest(key)[:8]}", digest(key), everything) for key in ("one", "two", "three")
    )
    given = ("one", "two", "three", "four", "five", "", digest("one"))
    found = {key: None if (it := find_key(keys, key.encode())) is None else it.digest for key in given}
    assert found == {key: digest(key) if key in given[:4] else None for key in given}


def test_without_keys_there_are_none() -> None:
    assert configured_keys(ServiceSettings(), {"FORESIGHT_API_KEY": ""}) == ()


@pytest.mark.parametrize("entry", ["plain key", "g" * 64, ""])
def test_a_key_in_place_of_its_digest_is_refused_and_not_repeated(entry: str) -> None:
    with pytest.raises(UsageError, match="no SHA-256 digest") as caught:
        configured_keys(ServiceSettings(api_keys_sha256=(entry,)), {})
    assert entry == "" or entry not in str(caught.value)
    with pytest.raises(ValidationError, match="sha256") as invalid:
        KeySettings(name="crm", sha256=entry, scopes=(Scope.READ,))
    assert entry == "" or entry not in str(invalid.value)


@pytest.mark.parametrize(
    ("now", "is_expired"),
    [("2026-12-30T23:59:59", False), ("2026-12-31T00:00:00", True), ("2027-01-05T00:00:00", True)],
)
def test_a_key_ends_at_the_first_moment_of_its_day(now: str, is_expired: bool) -> None:
    key = ApiKey("crm", digest("k"), expires=date(2026, 12, 31))
    assert key.is_expired(datetime.fromisoformat(now).replace(tzinfo=UTC)) is is_expired


def test_every_path_says_who_may() -> None:
    named = {value for name, value in vars(paths).items() if name.isupper() and isinstance(value, str)}
    assert named == set(paths.SCOPES) | paths.ANY_KEY | paths.PUBLIC
    assert paths.scope_of("/a/path/of/tomorrow") is Scope.ADMIN
    assert paths.scope_of(paths.INDEX) is None


def test_a_new_key_is_let_in_by_the_lines_on_standard_output() -> None:
    command = ["keys", "new", "--name", "crm", "--scope", "read", "--scope", "write", "--expires", "2027-01-31"]
    made, again = (CliRunner().invoke(app, command) for _ in range(2))
    key = made.stderr.splitlines()[1]
    [lines] = tomllib.loads(made.stdout)["service"]["keys"]
    assert KeySettings.model_validate(lines) == KeySettings(
        name="crm", sha256=digest(key), scopes=(Scope.READ, Scope.WRITE), expires=date(2027, 1, 31)
    )
    assert len(key) == 46
    assert key not in made.stdout + again.stderr


def test_a_name_that_would_break_the_file_is_refused() -> None:
    ran = CliRunner().invoke(app, ["keys", "new", "--name", 'a"b', "--scope", "read"])
    assert isinstance(ran.exception, UsageError)
    assert (ran.exception.where, ran.stdout, ran.stderr) == ("--name", "", "")


def test_new_keys_and_secrets_are_good_for_production() -> None:
    runner = CliRunner()
    for _ in range(5):
        key = runner.invoke(app, ["keys", "new", "--name", "crm", "--scope", "read"]).stderr.splitlines()[1]
        secret = runner.invoke(app, ["keys", "secret"]).stdout.strip()
        require_safe(production(), {"FORESIGHT_API_KEY": key, "FORESIGHT_TOKEN_SECRET": f"{secret},{STRONG}"}, "::")


def test_a_token_of_the_command_line_opens_the_panel(project: TinyProject) -> None:
    project.settings()
    command = ["panel-token", "a/b", "--user", "rep-7", "--feedback", "--minutes", "60", "-c", str(project.folder)]
    ran = CliRunner().invoke(app, command, env={"FORESIGHT_TOKEN_SECRET": f"{STRONG},older"})
    path, _, text = ran.stdout.strip().partition("?t=")
    token = read_token(text, (STRONG,), utc_now())
    assert path == "/panel/a%2Fb"
    assert (token.customer, token.user, token.tenant, token.feedback) == ("a/b", "rep-7", "tiny", True)
    refused = CliRunner().invoke(app, command, env={"FORESIGHT_TOKEN_SECRET": ""})
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.where == "FORESIGHT_TOKEN_SECRET"


@pytest.mark.parametrize(
    ("settings", "environment", "host", "problem"),
    [
        (ServiceSettings(), {}, "0.0.0.0", "in development listens on loopback only, not on 0.0.0.0"),
        (ServiceSettings(), {"FORESIGHT_API_KEY": STRONG}, "crm.internal", "listens on loopback only"),
        (production(), {}, "0.0.0.0", "needs an API key"),
        (production(), {}, LOOPBACK, "needs an API key"),
        (production(api_keys_sha256=[digest("YOUR_KEY")]), {}, LOOPBACK, "A key is an example's"),
        (production(api_keys_sha256=[digest("")]), {}, LOOPBACK, "A key is an example's"),
        (production(), {"FORESIGHT_API_KEY": "brief"}, LOOPBACK, "The key is too short, or an example"),
        (production(), {"FORESIGHT_API_KEY": "ab" * 40}, LOOPBACK, "The key is too short, or an example"),
        (
            production(),
            {"FORESIGHT_API_KEY": STRONG, "FORESIGHT_TOKEN_SECRET": STRONG[:31]},
            LOOPBACK,
            "A secret is too short, or an example",
        ),
        (
            production(),
            {"FORESIGHT_API_KEY": STRONG, "FORESIGHT_TOKEN_SECRET": f"{STRONG}, Change-Me-0123456789-{STRONG}"},
            LOOPBACK,
            "A secret is too short, or an example",
        ),
    ],
)
def test_what_is_not_safe_does_not_start(
    settings: ServiceSettings, environment: dict[str, str], host: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        require_safe(settings, environment, host)
    assert not any(value in str(caught.value) for value in environment.values())


def test_serve_refuses_a_host_before_it_opens_a_model(project: TinyProject) -> None:
    project.settings()
    ran = CliRunner().invoke(app, ["serve", "-c", str(project.folder), "--host", "0.0.0.0"])
    assert isinstance(ran.exception, UsageError)
    assert ran.exception.what == "A service in development listens on loopback only, not on 0.0.0.0."


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_development_needs_no_key(host: str) -> None:
    require_safe(ServiceSettings(), {"FORESIGHT_TOKEN_SECRET": "short"}, host)
