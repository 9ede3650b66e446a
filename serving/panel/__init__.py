"""The insight card for CRM screens."""

from serving.panel.card import insight_card
from serving.panel.markup import Html
from serving.panel.notices import Notice
from serving.panel.render import Theme, card_page, content_security_policy, notice_page
from serving.panel.script import element_script
from serving.panel.words import LANGUAGES, Words, words_for

__all__ = [
    "LANGUAGES",
    "Html",
    "Notice",
    "Theme",
    "Words",
    "card_page",
    "content_security_policy",
    "element_script",
    "insight_card",
    "notice_page",
    "words_for",
]
