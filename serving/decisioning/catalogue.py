"""The action catalogue: a TOML file that a marketer edits, checked when it is read, its hash in every decision."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    Channel,
    ContactLimit,
    Cost,
    DoNothing,
    Exploration,
    Fatigue,
    Lever,
    MandatoryAction,
    Offerable,
    Outcome,
    Part,
    Prior,
    Suppression,
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
    *(((), name) for name in ("capacity", "cooldown_days", "suppress", "legal_basis", "mandatory")),
    *(((), name) for name in ("budget", "exploration")),
    (("capacity",), "per_day"),
    (("outcome",), "measured_by"),
    (("prior",), "mean"),
    (("prior",), "deviation"),
)  # a field that came later counts only where it says something: old hashes stay
Stages = Sequence[tuple[tuple[str, ...], Rule]]
_Model = TypeVar("_Model", bound=BaseModel)
_ACTION, _CHANNEL, _LIMIT, _FATIGUE = "action", "channel", "contact_limit", "fatigue"
_TABLES: dict[tuple[str, ...], type[BaseModel]] = {
    ("outcome",): Outcome,
    ("cost",): Cost,
    ("value",): Value,
    ("lever",): Lever,
    ("capacity",): Capacity,
    ("exploration",): Exploration,
    ("suppress",): Suppression,
    ("prior",): Prior,
}
_MOST_FLOOR = 0.5  # what all floors together may take of the choice


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The actions, in the order of the file, with their compiled rules. Two are the same if their ``hash`` is.

    Attributes:
        actions: those that are weighed, without ``do_nothing``, which is always a candidate.
        do_nothing: how doing nothing is called.
        rules: action id -> stage of ``STAGES`` (or ``exploration``) -> rule, where the action has one.
        mandatory: those that are given before anything is weighed.
        permissions: channel -> the rule that says who may be reached by it; a channel without one is open to all.
        limits: on how often a customer is contacted.
        fatigue: what a further contact costs; None for nothing.
    """

    actions: tuple[Action, ...]
    do_nothing: DoNothing
    rules: Mapping[str, Mapping[str, Rule]]
    mandatory: tuple[MandatoryAction, ...] = ()
    permissions: Mapping[str, Rule] = field(default_factory=dict)
    limits: tuple[ContactLimit, ...] = ()
    fatigue: Fatigue | None = None

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content (not of the file: comments and spacing do not count), 64 hexadecimal digits."""
        content = [_content(part) for part in (self.do_nothing, *self.actions, *self.mandatory)]
        common = {
            _CHANNEL: {name: rule.text for name, rule in self.permissions.items()},
            _LIMIT: [_content(limit) for limit in self.limits],
            _FATIGUE: None if self.fatigue is None else _content(self.fatigue),
        }
        if any(common.values()):
            content.append(common)
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    @cached_property
    def stages(self) -> Mapping[str, Stages]:
        """Action id -> its filters in order: the codes of a stage, and the rule that says which one holds."""
        return {
            action: tuple((of[stage].codes_at(stage), of[stage]) for stage in STAGES if stage in of)
            for action, of in self.rules.items()
        }

    @property
    def short_hash(self) -> str:
        """The first 12 digits of ``hash``, for people and for the policy version."""
        return self.hash[:12]

    @cached_property
    def needs_contacts(self) -> bool:
        """Whether decisions depend on what reached the customer before."""
        every = (*self.actions, *self.mandatory)
        return bool(self.limits) or self.fatigue is not None or any(one.cooldown_days or one.suppress for one in every)

    @cached_property
    def needs_use(self) -> bool:
        """Whether decisions depend on how often actions were decided before, and at which cost."""
        every = (*self.actions, *self.mandatory)
        return any(one.capacity and one.capacity.per_day is not None for one in every) or any(
            action.budget is not None for action in self.actions
        )

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
    """The catalogue in the TOML file ``path``: an ``[[action]]`` table per action, and where they are wanted a
    ``[[channel]]`` with the permission to use it, ``[[contact_limit]]`` and ``[fatigue]``.

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
        self._text = ""
        self._lines = TomlLines("", _ACTION)
        self._array = _ACTION
        self._ids: list[str] = []

    def read(self, known: Mapping[str, Kind]) -> Catalogue:
        content = self._content()
        actions: list[Action] = []
        mandatory: list[MandatoryAction] = []
        do_nothing = DoNothing()
        rules: dict[str, dict[str, Rule]] = {}
        for element, table in enumerate(self._tables(content, _ACTION)):
            self._register(element, table)
            if table["id"] == DO_NOTHING:
                do_nothing = self._validated(DoNothing, element, table)
                continue
            if table.get("mandatory") is True:
                mandatory.append(self._validated(MandatoryAction, element, table))
                rules[mandatory[-1].id] = self._rules(element, mandatory[-1], known)
            else:
                actions.append(self._validated(Action, element, table))
                rules[actions[-1].id] = self._rules(element, actions[-1], known)
        if not actions:
            self._fail("The catalogue lists no action", "Add an [[action]] table with its id, outcome, cost and value.")
        if sum(action.floor or 0.0 for action in actions) > _MOST_FLOOR:
            self._fail(f"The floors of all actions are together more than {_MOST_FLOOR:g}", "Lower some of them.")
        used = [channel for action in (*actions, *mandatory) for channel in action.channels]
        return Catalogue(
            actions=tuple(actions),
            do_nothing=do_nothing,
            rules=rules,
            mandatory=tuple(mandatory),
            permissions=self._permissions(content, known, used),
            limits=self._limits(content, used),
            fatigue=self._fatigue(content),
        )

    def _permissions(self, content: dict[str, Any], known: Mapping[str, Kind], used: list[str]) -> dict[str, Rule]:
        found: dict[str, Rule] = {}
        for element, table in enumerate(self._tables(content, _CHANNEL)):
            channel = self._validated(Channel, element, table)
            self._used(channel.id, used, element, "id")
            if channel.id in found:
                self._fail(f"Two channels are called '{channel.id}'", "Leave one out.", self._lines.of(element))
            inside = f"channel '{channel.id}', field 'permission'"
            place = self._where(self._lines.of(element, ("permission",)), inside)
            found[channel.id] = compile_rule(channel.permission, known, where=place)
        return found

    def _limits(self, content: dict[str, Any], used: list[str]) -> tuple[ContactLimit, ...]:
        found: list[ContactLimit] = []
        for element, table in enumerate(self._tables(content, _LIMIT)):
            found.append(self._validated(ContactLimit, element, table))
            if found[-1].channel is not None:
                self._used(found[-1].channel, used, element, "channel")
        return tuple(found)

    def _fatigue(self, content: dict[str, Any]) -> Fatigue | None:
        table = content.get(_FATIGUE)
        if table is None:
            return None
        if not isinstance(table, dict):
            self._fail(f"'{_FATIGUE}' is no table", "Begin it with [fatigue].", self._lines.of_top(_FATIGUE))
        self._lines, self._array = TomlLines(self._text, _FATIGUE), _FATIGUE
        return self._validated(Fatigue, 0, cast("dict[str, Any]", table))

    def _used(self, channel: str, used: list[str], element: int, field: str) -> None:
        if channel not in used:
            line = self._lines.of(element, (field,))
            self._fail(f"No action uses the channel '{channel}'", did_you_mean(channel, used), line)

    def _content(self) -> dict[str, Any]:
        try:
            self._text = self._path.read_text(encoding="utf-8")
            content = tomllib.loads(self._text)
        except FileNotFoundError:
            self._fail("The action catalogue does not exist", "Create it, or correct the path in foresight.toml.")
        except (OSError, UnicodeDecodeError) as error:
            self._fail(f"The action catalogue cannot be read: {type(error).__name__}", "It must be a UTF-8 text file.")
        except tomllib.TOMLDecodeError as error:
            self._fail(f"The action catalogue is no valid TOML: {error}", "Correct that line.")
        self._lines = TomlLines(self._text, _ACTION)
        known = [_ACTION, _CHANNEL, _LIMIT, _FATIGUE]
        for key in content:
            if key not in known:
                self._fail(f"Unknown key '{key}'", did_you_mean(key, known), self._lines.of_top(key))
        return content

    def _tables(self, content: dict[str, Any], array: str) -> list[dict[str, Any]]:
        """The tables of one array; errors in them point to its lines from now on."""
        self._lines, self._array = TomlLines(self._text, array), array
        tables = content.get(array, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in cast("list[Any]", tables)):
            self._fail(f"'{array}' is no array of tables", f"Begin each {array.replace('_', ' ')} with [[{array}]].")
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
            self._refuse(model, element, str(table.get("id", element + 1)), problems)

    def _refuse(self, model: type[BaseModel], element: int, name: str, problems: list[ErrorDetails]) -> NoReturn:
        # A misspelt key is also a missing one; the misspelling is what to correct.
        first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
        path = tuple(str(part) for part in first["loc"] if part != "[key]")
        field = ".".join(path)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        line = self._lines.of(element, path) or self._lines.of_top(self._array)
        named = "" if self._array == _FATIGUE else f" '{name}'"
        where = self._array.replace("_", " ") + named + (f", field '{field}'" if field else "")
        if first["type"] == "extra_forbidden":
            options = _keys(model, path[:-1])
            self._fail(f"Unknown key '{path[-1]}'{more}", did_you_mean(path[-1], options), line, where)
        if first["type"] == "missing":
            self._fail(
                f"'{field}' is missing{more}", f"Add {path[-1]} to the {self._array.replace('_', ' ')}.", line, where
            )
        reason = first["msg"].removeprefix("Value error, ")
        self._fail(f"{reason[:1].upper()}{reason[1:]}{more}", f"Correct {field or f'the {self._array}'}.", line, where)

    def _rules(self, element: int, action: Offerable, known: Mapping[str, Kind]) -> dict[str, Rule]:
        texts: dict[str, str | None] = {stage: getattr(action, stage) for stage in STAGES}
        if isinstance(action, Action) and action.exploration is not None:
            texts["exploration"] = action.exploration.where
        rules: dict[str, Rule] = {}
        for stage, text in texts.items():
            if text is not None:
                path = ("exploration", "where") if stage == "exploration" else (stage,)
                inside = f"action '{action.id}', field '{'.'.join(path)}'"
                rules[stage] = compile_rule(text, known, where=self._where(self._lines.of(element, path), inside))
        return rules

    def _where(self, line: int | None, inside: str = "") -> str:
        return ", ".join(part for part in (str(self._path), f"line {line}" if line else "", inside) if part)

    def _fail(self, what: str, fix: str, line: int | None = None, inside: str = "") -> NoReturn:
        raise UsageError(f"{what}.", where=self._where(line, inside), fix=fix) from None


def _content(part: Part) -> dict[str, Any]:
    content = part.model_dump(mode="json", by_alias=True)
    for path, name in _SINCE_THE_FIRST_HASH:
        table = content
        for step in path:
            table = table.get(step) or {}
        if name in table and table[name] == _default(path, name):
            table.pop(name)
    return content


def _default(path: tuple[str, ...], name: str) -> Any:
    default = _TABLES.get(path, Action).model_fields[name].default
    return list(default) if isinstance(default, tuple) else default


def _keys(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    path = tuple(part for part in path if not part.isdecimal())
    found = ActionText if path[:1] == ("texts",) else _TABLES.get(path, model)
    return [field.alias or name for name, field in found.model_fields.items()]
