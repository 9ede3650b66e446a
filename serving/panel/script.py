"""``customer-insight.js``: the custom element in one file, with the card's style and the notices in every language."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import orjson

from serving.panel.notices import Notice, notice_card
from serving.panel.words import LANGUAGES, Words


@cache
def element_script() -> tuple[bytes, str]:
    """The file, and its ETag."""
    notices = {
        language: {
            notice.value: notice_card(notice, Words.of(language)) for notice in Notice if notice != Notice.LOCKED
        }
        for language in LANGUAGES
    }
    text = package_text("customer-insight.js")
    text = text.replace('"STYLE"', _literal(package_text("card.css"))).replace('"NOTICES"', _literal(notices))
    script = text.encode()
    return script, f'"{hashlib.sha256(script).hexdigest()[:32]}"'


@cache
def package_text(name: str) -> str:
    """A file of this package."""
    return files("serving.panel").joinpath(name).read_text(encoding="utf-8")


def _literal(value: object) -> str:
    return orjson.dumps(value).decode()
