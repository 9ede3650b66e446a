"""The action catalogue: a TOML file that a marketer edits, checked when it is read, its hash in every decision."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kernel.errors import UsageError, did_you_mean
from kernel.value_predictor import HORIZON_MONTHS
from serving.decisioning.action import (
    DO_NOTHING,
    Action,
    ActionText,
    Capacity,
    Cost,
    DoNothing,
    Lever,
    Outcome,
    Prior,
    Value,
)
from serving.decisioning.columns import Kind
from serving.decisioning.rules import Rule, compile_rule
from serving.decisioning.toml_lines import TomlLines

STAGES = ("eligibility", "applicability", "suitability")

SCORE_FIELDS: Mapping[str, Kind] = {
    "status": Kind.TEXT,
    "churn_probability": Kind.NUMBER,
    "churn_percentile": Kind.NUMBER,
    "churn_band": Kind.TEXT,
    "probability_alive": Kind.NUMBER,
    "expected_purchases": Kind.NUMBER,
    "lifetime_value": Kind.NUMBER,
    "value_percentile": Kind.NUMBER,
    **{f"value_{months}m": Kind.NUMBER for months in HORIZON_MONTHS},
    "value_at_risk": Kind.NUMBER,
    "historic_value": Kind.NUMBER,
    "expected_order_value": Kind.NUMBER,
    "next_order_days": Kind.NUMBER,
    "order_overdue_days": Kind.NUMBER,
    "is_high_value": Kind.BOOLEAN,
}
"""What rules may use besides the features and attributes: the scores."""

_SINCE_THE_FIRST_HASH: tuple[tuple[tuple[str, ...], str], ...] = (
    ((), "capacity"),
    (("outcome",), "measured_by"),
    (("prior",), "mean"),
    (("prior",), "deviation"),
)  # a field that came later counts only where it says something: old hashes stay
_Model = TypeVar("_Model", bound=BaseModel)
_ARRAY = "action"
_TABLES: dict[tuple[str, ...], type[BaseModel]] = {
    ("outcome",): Outcome,
    ("cost",): Cost,
    ("value",): Value,
    ("lever",): Lever,
    ("capacity",): Capacity,
    ("prior",): Prior,
}


@dataclass(frozen=True)
class Catalogue:
    """The actions, in the order of the file, with their compiled rules.

    Attributes:
        actions: without ``do_nothing``, which is always a candidate.
        do_nothing: how doing nothing is called.
        rules: action id -> stage of ``STAGES`` -> rule, for the stages that the action restricts.
    """

    actions: tuple[Action, ...]
    do_nothing: DoNothing
    rules: Mapping[str, Mapping[str, Rule]]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content (not of the file: comments and spacing do not count), 64 hexadecimal digits."""
        content = [part.model_dump(mode="json", by_alias=True) for part in (self.do_nothing, *self.actions)]
        for action in content:
            for path, name in _SINCE_THE_FIRST_HASH:
                table = action
                for step in path:
                    table = table.get(step) or {}
                if name in table and table[name] == _default(path, name):
                    table.pop(name)
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    @property
    def short_hash(self) -> str:
        """The first 12 digits of ``hash``, for people and for the policy version."""
        return self.hash[:12]

    def action(self, action_id: str) -> Action:
        """The action called ``action_id``.

        Raises:
            UsageError: there is none, or it is ``do_nothing``.
        """
        for action in self.actions:
            if action.id == action_id:
                return action
        raise UsageError(
            f"There is no action '{action_id}'.",
            where="catalogue",
            fix=did_you_mean(action_id, [action.id for action in self.actions]),
        )


def load_catalogue(path: str | Path, known_fields: Mapping[str, Kind] | Iterable[str]) -> Catalogue:
    """The catalogue in the TOML file ``path``: one ``[[action]]`` table per action.

    Args:
        path: the file.
        known_fields: the features and attributes that rules may use, best with their types; the scores
            (``SCORE_FIELDS``) are always known.

    Raises:
        UsageError: the file cannot be read, or an action, key, value or rule in it is wrong; the error names the file,
            the line, the action, the field and the nearest valid name.
    """
    kinds = dict(known_fields) if isinstance(known_fields, Mapping) else dict.fromkeys(known_fields, Kind.UNKNOWN)
    return _Reader(Path(path)).read({**kinds, **SCORE_FIELDS})


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = TomlLines("", _ARRAY)
        self._ids: list[str] = []

    def read(self, known: Mapping[str, Kind]) -> Catalogue:
        tables = self._tables()
        actions: list[Action] = []
        do_nothing = DoNothing()
        rules: dict[str, dict[str, Rule]] = {}
        for element, table in enumerate(tables):
            self._register(element, table)
            if table["id"] == DO_NOTHING:
                do_nothing = self._validated(DoNothing, element, table)
                continue
            action = self._validated(Action, element, table)
            actions.append(action)
            rules[action.id] = self._rules(element, action, known)
        if not actions:
            self._fail("The catalogue lists no action", "Add an [[action]] table with its id, outcome, cost and value.")
        return Catalogue(tuple(actions), do_nothing, rules)

    def _tables(self) -> list[dict[str, Any]]:
        try:
            text = self._path.read_text(encoding="utf-8")
            content = tomllib.loads(text)
        except FileNotFoundError:
            self._fail("The action catalogue does not exist", "Create it, or correct the path in foresight.toml.")
        except (OSError, UnicodeDecodeError) as error:
            self._fail(f"The action catalogue cannot be read: {type(error).__name__}", "It must be a UTF-8 text file.")
        except tomllib.TOMLDecodeError as error:
            self._fail(f"The action catalogue is no valid TOML: {error}", "Correct that line.")
        self._lines = TomlLines(text, _ARRAY)
        for key in content:
            if key != _ARRAY:
                self._fail(f"Unknown key '{key}'", did_you_mean(key, [_ARRAY]), self._lines.of_top(key))
        tables = content.get(_ARRAY, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in cast("list[Any]", tables)):
            self._fail(f"'{_ARRAY}' is no array of tables", "Begin each action with [[action]].")
        return cast("list[dict[str, Any]]", tables)

    def _register(self, element: int, table: dict[str, Any]) -> None:
        name = table.get("id")
        if not isinstance(name, str):
            self._fail(f"Action number {element + 1} has no id", 'Add id = "...", a text.', self._lines.of(element))
        if name in self._ids:
            self._fail(f"Two actions are called '{name}'", "Give each its own id.", self._lines.of(element, ("id",)))
        self._ids.append(name)

    def _validated(self, model: type[_Model], element: int, table: dict[str, Any]) -> _Model:
        try:
            return model.model_validate(table)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            self._refuse(model, element, str(table["id"]), problems)

    def _refuse(self, model: type[BaseModel], element: int, name: str, problems: list[ErrorDetails]) -> NoReturn:
        # A misspelt key is also a missing one; the misspelling is what to correct.
        first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
        path = tuple(str(part) for part in first["loc"] if part != "[key]")
        field = ".".join(path)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        line = self._lines.of(element, path)
        where = f"action '{name}'" + (f", field '{field}'" if field else "")
        if first["type"] == "extra_forbidden":
            options = _keys(model, path[:-1])
            self._fail(f"Unknown key '{path[-1]}'{more}", did_you_mean(path[-1], options), line, where)
        if first["type"] == "missing":
            self._fail(f"'{field}' is missing{more}", f"Add {path[-1]} to the action.", line, where)
        reason = first["msg"].removeprefix("Value error, ")
        self._fail(f"{reason[:1].upper()}{reason[1:]}{more}", f"Correct {field or 'the action'}.", line, where)

    def _rules(self, element: int, action: Action, known: Mapping[str, Kind]) -> dict[str, Rule]:
        rules: dict[str, Rule] = {}
        for stage in STAGES:
            text = cast("str | None", getattr(action, stage))
            if text is not None:
                place = self._where(self._lines.of(element, (stage,)), f"action '{action.id}', field '{stage}'")
                rules[stage] = compile_rule(text, known, where=place)
        return rules

    def _where(self, line: int | None, inside: str = "") -> str:
        return ", ".join(part for part in (str(self._path), f"line {line}" if line else "", inside) if part)

    def _fail(self, what: str, fix: str, line: int | None = None, inside: str = "") -> NoReturn:
        raise UsageError(f"{what}.", where=self._where(line, inside), fix=fix) from None


def _default(path: tuple[str, ...], name: str) -> Any:
    return _TABLES.get(path, Action).model_fields[name].default


def _keys(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    found = ActionText if path[:1] == ("texts",) else _TABLES.get(path, model)
    return [field.alias or name for name, field in found.model_fields.items()]
