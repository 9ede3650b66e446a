"""Panel tokens: what opens, and everything that must not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serving.http.tokens import PanelToken, TokenError, configured_secrets, panel_path, read_token, sign_token

NOW = datetime(2026, 11, 1, 12, 0, 0, 500_000, tzinfo=UTC)
ENDS = datetime(2026, 11, 1, 12, 5, tzinfo=UTC)
SECRET, OLDER, OTHER = "s" * 40, "o" * 40, "x" * 40
TOKEN = PanelToken("1746", "rep-7", "shop", ENDS)
CLAIMS = {"customer": "1746", "user": "rep-7", "tenant": "shop", "exp": int(ENDS.timestamp()), "scope": "read"}
HEADER = {"alg": "HS256", "typ": "JWT"}


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def jwt(claims: Any, header: Any = HEADER, secret: str = SECRET, algorithm: str = "sha256") -> str:
    """As a library of any language would make it."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(hmac.digest(secret.encode(), signed.encode(), algorithm))}"


def read(text: str, now: datetime = NOW) -> PanelToken:
    return read_token(text, (SECRET, OLDER), now)


def test_a_token_is_a_json_web_token() -> None:
    text = sign_token(TOKEN, SECRET)
    header, claims, signature = text.split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == HEADER
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == CLAIMS
    expected = hmac.new(SECRET.encode(), f"{header}.{claims}".encode(), hashlib.sha256).digest()
    assert signature == b64(expected)
    assert read(text) == TOKEN


def test_a_token_of_the_crms_own_making_opens() -> None:
    assert read(jwt({**CLAIMS, "iat": 1, "jti": "7"})) == TOKEN
    wide = read(jwt({**CLAIMS, "scope": "read feedback"}, {"typ": "JWT", "alg": "HS256", "kid": "1"}))
    assert wide == PanelToken("1746", "rep-7", "shop", ENDS, feedback=True)


def test_ids_of_any_script_fit() -> None:
    token = PanelToken("顧" * 200, "é'<b>" * 40, "shop", ENDS, feedback=True)
    text = sign_token(token, SECRET)
    assert read(text) == token
    assert panel_path("a/b c?", text) == f"/panel/a%2Fb%20c%3F?t={text}"


def test_the_older_secret_opens_and_the_newest_signs() -> None:
    assert configured_secrets({"FORESIGHT_TOKEN_SECRET": f" {SECRET} ,{OLDER},"}) == (SECRET, OLDER)
    assert configured_secrets({"FORESIGHT_TOKEN_SECRET": ""}) == configured_secrets({}) == ()
    assert read(sign_token(TOKEN, OLDER)) == TOKEN
    with pytest.raises(TokenError):
        read_token(sign_token(TOKEN, OLDER), (SECRET,), NOW)
    with pytest.raises(TokenError):
        read_token(sign_token(TOKEN, ""), (), NOW)


@pytest.mark.parametrize(("seconds", "opens"), [(-1, True), (0, False), (1, False)])
def test_the_last_second(seconds: int, opens: bool) -> None:
    text, now = sign_token(TOKEN, SECRET), ENDS + timedelta(seconds=seconds)
    if opens:
        assert read(text, now) == TOKEN
        return
    with pytest.raises(TokenError) as caught:
        read(text, now)
    assert caught.value.is_expired


@pytest.mark.parametrize("scope", ["", "feedback", "read admin", "READ", "read  feedback"])
def test_other_scopes_are_refused(scope: str) -> None:
    with pytest.raises(TokenError):
        read(jwt({**CLAIMS, "scope": scope}))


@pytest.mark.parametrize(
    "exp", [None, "1", 1.5, True, -1, 10**11 + 1, float("nan"), int((NOW + timedelta(seconds=3602)).timestamp())]
)
def test_an_expiry_that_is_none_or_more_than_an_hour_away(exp: object) -> None:
    with pytest.raises(TokenError) as caught:
        read(jwt({**CLAIMS, "exp": exp}))
    assert not caught.value.is_expired


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_that_is_missing_or_of_another_kind(name: str) -> None:
    rest = {key: value for key, value in CLAIMS.items() if key != name}
    for claims in (rest, {**rest, name: ["1746"]}, {**rest, name: ""}, {**rest, name: "x" * 201}, {**rest, name: None}):
        with pytest.raises(TokenError):
            read(jwt(claims))


@pytest.mark.parametrize("claims", [[], "text", None, 7, [CLAIMS]])
def test_claims_that_are_no_object(claims: object) -> None:
    with pytest.raises(TokenError):
        read(jwt(claims))


@pytest.mark.parametrize(
    "forged",
    [
        jwt(CLAIMS, secret=OTHER),
        jwt(CLAIMS, {"alg": "none"}),
        jwt(CLAIMS, {"alg": "none"}).rpartition(".")[0] + ".",
        jwt(CLAIMS, {"alg": "HS512", "typ": "JWT"}, algorithm="sha512"),
        jwt(CLAIMS, {"alg": "HS512", "typ": "JWT"}),
        jwt(CLAIMS, algorithm="sha512"),
        jwt(CLAIMS, {"alg": "RS256", "typ": "JWT"}),
        jwt(CLAIMS, {"alg": "hs256"}),
        jwt(CLAIMS, {"typ": "JWT"}),
        jwt(CLAIMS, {**HEADER, "crit": ["exp"]}),
        jwt(CLAIMS, [HEADER]),
        jwt(CLAIMS, "HS256"),
    ],
)
def test_another_secret_or_algorithm(forged: str) -> None:
    with pytest.raises(TokenError) as caught:
        read(forged)
    assert not caught.value.is_expired


@pytest.mark.parametrize(("name", "value"), [("customer", "1747"), ("user", "rep-8"), ("tenant", "other")])
def test_another_customer_user_or_tenant_under_the_same_signature(name: str, value: str) -> None:
    header, _, signature = sign_token(TOKEN, SECRET).split(".")
    with pytest.raises(TokenError):
        read(f"{header}.{b64(json.dumps({**CLAIMS, name: value}).encode())}.{signature}")


def test_every_other_letter_breaks_the_signature() -> None:
    text = sign_token(TOKEN, SECRET)
    for i, letter in enumerate(text[:-1]):
        changed = text[:i] + ("A" if letter != "A" else "B") + text[i + 1 :]
        with pytest.raises(TokenError):
            read(changed)


def test_truncated_lengthened_huge_and_no_tokens_at_all() -> None:
    text = sign_token(TOKEN, SECRET)
    shorter = [text[:length] for length in range(len(text) - 1)]
    longer = [text + "=", text + "AAAA", text + ".", f" {text}", f"{text}\n", f"{text}.{text}", f"{text},{text}"]
    huge = [jwt({**CLAIMS, "more": "x" * 10_000}), "a." * 1_000_000, "." * 5_000_000, "é.é.é", "\x00"]
    for broken in (*shorter, *longer, *huge):
        with pytest.raises(TokenError):
            read(broken)
