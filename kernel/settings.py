"""``foresight.toml``: what a project is, where its tables are, what it predicts."""

from __future__ import annotations

import importlib.util
import tomllib
from datetime import date
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from kernel.errors import UsageError, did_you_mean
from kernel.monitoring_settings import MonitoringSettings
from kernel.section import Section
from kernel.service_settings import ServiceSettings

_MEMORY = r"^(0*[1-9]\d*(\.\d+)?|0+\.\d*[1-9]\d*) ?[kKMGT]i?B$"
Days = Annotated[int, Field(ge=1, le=3650)]


class ProjectSection(Section):
    """Who and where: names, money, time, and the language in which reasons are said."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")
    timezone: str = "UTC"
    language: Literal["en", "de"] = "en"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except Exception as error:
            raise ValueError(f"'{name}' is no IANA time zone such as Europe/Paris") from error
        return name


class SourceSettings(Section):
    """One table of the user's: a file (or glob), a table of a DuckDB file, or a table of a PostgreSQL database."""

    file: str | None = None
    duckdb: str | None = None
    postgres: str | None = None
    table: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_path(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_kind(self) -> SourceSettings:
        kinds = [kind for kind in ("file", "duckdb", "postgres") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError("name exactly one of file, duckdb, postgres")
        if kinds != ["file"] and self.table is None:
            raise ValueError(f"'{kinds[0]}' needs 'table' beside it")
        if kinds == ["file"] and self.table is not None:
            raise ValueError("'table' goes with duckdb or postgres, not with file")
        return self


class TableSettings(Section):
    """How one semantic table is made from sources: ``from`` is a source's name or a SQL FROM clause over sources;
    each column is a column name or a SQL expression over it."""

    from_: str = Field(alias="from", min_length=1)
    columns: dict[str, str]
    attributes: dict[str, str] = Field(default={})


class PoliciesSettings(Section):
    """What counts as spend, and how it is brought to one currency.

    Attributes:
        returns: negative amounts reduce spend ("net"), or are left out ("ignore").
        zero_orders: orders without any amount stay, or are left out.
        cancelled: values of ``status`` (in any case of letters) whose lines do not count.
        lines: rows with one ``transaction_id`` are lines of one order ("as_mapped"), or every row is an order of its
            own and a ``transaction_id`` that repeats is an error ("orders").
        rates_max_age_days: an exchange rate counts for so many days.
    """

    returns: Literal["net", "ignore"] = "net"
    zero_orders: Literal["keep", "drop"] = "keep"
    cancelled: tuple[str, ...] = ("cancelled", "canceled")
    lines: Literal["as_mapped", "orders"] = "as_mapped"
    rates_max_age_days: Days = 7


class EngineSettings(Section):
    """Where the tables are computed on: DuckDB in this process, or Spark.

    ``memory_limit`` in DuckDB's notation, such as "2GB"; with it the tables lie in a scratch file in ``temp_folder``
    and not in memory. ``spark_master``: ``local[N]`` or the URL of a cluster; ``spark_tables``: a folder or URL that
    every Spark worker reads, by default a folder of the state. ``keep_tables``: the tables stay in the state folder
    between runs, and only new files are read.
    """

    engine: Literal["duckdb", "spark"] = "duckdb"
    spark_master: str = "local[2]"
    spark_tables: str | None = None
    memory_limit: str | None = Field(default=None, pattern=_MEMORY)
    threads: int | None = Field(default=None, ge=1, le=1024)
    temp_folder: str | None = None
    keep_tables: bool = False


class FeaturesSettings(Section):
    """``modules``: Python files of the project's own, each of which defines FEATURES."""

    modules: tuple[str, ...] = ()


class EventSettings(Section):
    """An event that is looked for: a row of ``table`` for which ``where``, a SQL condition on its columns, holds."""

    table: Literal["transactions", "activities", "subscriptions"]
    where: str = Field(min_length=1)


class RetentionSettings(Section):
    """What keeping a customer costs and brings, in the project's currency: ``contact_cost`` of one contact,
    ``kept_value`` of a customer who stays, ``success_rate`` of contacts with those who would have left."""

    contact_cost: float = Field(ge=0)
    kept_value: float = Field(gt=0)
    success_rate: float = Field(default=0.2, gt=0, le=1)


class TreatmentSettings(Section):
    """What counts as a retention action: a row of ``table`` for which ``where``, a SQL condition, holds. Whom one
    reached in the label window is no witness of what comes without it: they are left out (``exclude``), or left out
    with those who are like them counting for more (``weight``)."""

    table: Literal["activities", "transactions", "subscriptions"] = "activities"
    where: str = Field(min_length=1)
    policy: Literal["exclude", "weight"] = "exclude"


class TreesSettings(Section):
    """The boosted trees of the churn model; ``foresight train --tune`` looks for better ones."""

    rounds: int = Field(default=400, ge=10, le=5000)
    learning_rate: float = Field(default=0.02, gt=0, le=1)
    num_leaves: int = Field(default=15, ge=2, le=256)
    max_depth: int = Field(default=4, ge=1, le=8)
    min_data_in_leaf: int = Field(default=100, ge=1)
    lambda_l2: float = Field(default=10.0, ge=0)
    feature_fraction: float = Field(default=0.3, gt=0, le=1)
    extra_trees: bool = True


class ChurnSettings(Section):
    """What is predicted, of whom, how far ahead.

    ``definition``: ``transactions``, no purchase in the ``horizon_days`` from ``as_of``, among customers with one in
    the ``active_days`` before; ``subscriptions``, the last active contract ends in the horizon and none follows within
    ``grace_days``, among customers with an active contract; ``event``, ``event`` happens in the horizon, among
    customers with a purchase in the active days. Contracts that end for one of ``competing_ends`` neither churn nor
    stay. ``contacts``: how many customers a team can reach, ``retention``: what that costs and brings; both are for the
    report. ``treatment``: the retention actions of the past. ``directions``: features with which the risk only rises
    ("up") or falls ("down"). ``bands``: the percentiles at which the medium and the high band begin; a customer stays
    in the band of the last scores until ``band_margin`` points beyond its limit.
    """

    definition: Literal["transactions", "subscriptions", "event"] = "transactions"
    active_days: Days = 90
    horizon_days: Days = 90
    grace_days: Days = 30
    competing_ends: tuple[str, ...] = ()
    event: EventSettings | None = None
    contacts: int = Field(default=100, ge=1)
    retention: RetentionSettings | None = None
    treatment: TreatmentSettings | None = None
    directions: dict[str, Literal["up", "down"]] = Field(default={})
    trees: TreesSettings = TreesSettings()
    bands: tuple[float, float] = (70.0, 90.0)
    band_margin: float = Field(default=2.0, ge=0, le=20)

    @field_validator("bands")
    @classmethod
    def _ordered(cls, bands: tuple[float, float]) -> tuple[float, float]:
        if not 0 < bands[0] < bands[1] < 100:
            raise ValueError("two percentiles in rising order between 0 and 100, such as [70, 90]")
        return bands

    @model_validator(mode="after")
    def _margin_fits(self) -> ChurnSettings:
        if not self.band_margin < min(self.bands[0], 100 - self.bands[1]):
            raise ValueError("band_margin must be less than the lower limit of bands, and than 100 less the upper one")
        return self

    @model_validator(mode="after")
    def _event_named(self) -> ChurnSettings:
        if (self.definition == "event") != (self.event is not None):
            raise ValueError('definition = "event" and [churn.event] with table and where belong together')
        return self

    @property
    def maturity_days(self) -> int:
        """Days after the horizon until the outcome is certain."""
        return self.grace_days if self.definition == "subscriptions" else 0


class ValueSettings(Section):
    """Lifetime value = expected net spend in the ``horizon_days`` from ``as_of``.

    ``high_value``: of high value are the ``high_value_share`` of customers with the highest value ("top"), or the
    fewest who together hold that share of all expected spend ("share_of_spend", the 80/20 rule with .8).
    ``alternatives``: what else the back-test may choose in place of the trees over BTYD.
    ``discount_rate``: what money in a year is worth less than today. ``margin``: the share of net spend that is profit.
    """

    horizon_days: Days = 90
    high_value: Literal["top", "share_of_spend"] = "top"
    high_value_share: float = Field(default=0.2, gt=0, lt=1)
    alternatives: tuple[Literal["btyd", "two_part"], ...] = ("btyd",)
    discount_rate: float = Field(default=0.1, ge=0, le=1)
    margin: float | None = Field(default=None, gt=0, le=1)

    @property
    def top_share(self) -> float:
        """The share of customers whom a report calls those of high value."""
        return self.high_value_share if self.high_value == "top" else 0.2


class TrainingSettings(Section):
    """Cut-offs lie ``step_days`` apart, the first one ``history_days`` after the first transaction; of more than
    ``max_rows`` rows, whole customers are left out of training by hash."""

    step_days: Days = 14
    history_days: Days = 90
    max_cutoffs: int = Field(default=24, ge=2, le=200)
    max_rows: int = Field(default=100_000, ge=1000)
    seed: int = 7


class ActionsSettings(Section):
    """The catalogue a marketer edits; ``holdout``: share of customers who get no action in a quarter."""

    catalogue: str | None = None
    top_k: int = Field(default=3, ge=1, le=20)
    holdout: float = Field(default=0.02, ge=0, le=0.5)


class RegistrySettings(Section):
    """MLflow: ``folder`` holds database and artefacts; ``model_prefix`` begins the names of this project's models."""

    folder: str = "mlruns"
    model_prefix: str | None = None


class StateSettings(Section):
    """``folder`` holds snapshots and reports; ``url`` is the database of decisions and ``online_url`` that of the
    features in service (default: SQLite in the folder); old decisions go to ``log_archive``. Beside the snapshot in
    service the newest ``keep_snapshots`` are kept, and the scores of the newest ``keep_scores`` moments; a build waits
    ``lock_wait_seconds`` for another one to end."""

    folder: str = ".foresight"
    url: str | None = None
    online_url: str | None = None
    online_histories: bool = True
    log_archive: str | None = None
    keep_snapshots: int = Field(default=30, ge=0)
    lock_wait_seconds: int = Field(default=600, ge=0)
    keep_scores: int = Field(default=400, ge=1)


class PublishedSetting(Section):
    """A figure that others reached with the same cohort and label; the report shows ours beside it."""

    as_of: date
    model: Literal["churn", "value"]
    metric: str
    value: float
    source: str


class Settings(Section):
    """The whole file."""

    file: Path
    project: ProjectSection
    sources: dict[str, SourceSettings]
    tables: dict[str, tuple[TableSettings, ...]]
    policies: PoliciesSettings = PoliciesSettings()
    engine: EngineSettings = EngineSettings()
    features: FeaturesSettings = FeaturesSettings()
    churn: ChurnSettings = ChurnSettings()
    value: ValueSettings = ValueSettings()
    training: TrainingSettings = TrainingSettings()
    actions: ActionsSettings = ActionsSettings()
    service: ServiceSettings = ServiceSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    registry: RegistrySettings = RegistrySettings()
    state: StateSettings = StateSettings()
    published: tuple[PublishedSetting, ...] = ()

    @field_validator("tables", mode="before")
    @classmethod
    def _one_or_many(cls, tables: Any) -> Any:
        if not isinstance(tables, dict):
            return tables
        return {name: part if isinstance(part, list) else [part] for name, part in tables.items()}

    def path(self, written: str) -> Path:
        """A path of the file: absolute, relative to the file, or ``package:NAME/inside`` of an installed package."""
        if not written.startswith("package:"):
            return (self.file.parent / written).resolve()
        package, _, inside = written.removeprefix("package:").partition("/")
        spec = _installed(package)
        if spec is None or spec.origin is None:
            raise UsageError(
                f"The package '{package}' is not installed.",
                where=str(self.file),
                fix="Install it, or name another file.",
            )
        return Path(spec.origin).parent / inside

    @property
    def registry_folder(self) -> Path:
        """Where MLflow's database and artefacts are."""
        return self.path(self.registry.folder)

    @property
    def state_folder(self) -> Path:
        """Where this project's snapshots, decisions and reports are."""
        return self.path(self.state.folder) / self.project.name

    @property
    def temp_folder(self) -> Path:
        """Where scratch files lie while the process runs."""
        return self.state_folder / "tmp" if self.engine.temp_folder is None else self.path(self.engine.temp_folder)

    @property
    def state_url(self) -> str:
        """The SQLAlchemy URL of decisions and feedback."""
        return self.state.url or f"sqlite:///{self.state_folder / 'decisions.db'}"

    @property
    def log_archive(self) -> Path:
        """Where decisions and feedback lie that left the database."""
        return self.state_folder / "log" if self.state.log_archive is None else self.path(self.state.log_archive)

    @property
    def online_url(self) -> str:
        """The SQLAlchemy URL of the features in service."""
        return self.state.online_url or f"sqlite:///{self.state_folder / 'online.db'}"

    @property
    def spark_tables(self) -> str:
        """Where the typed tables lie for Spark: an absolute path, or a URL such as ``s3a://bucket/folder``."""
        written = self.engine.spark_tables
        if written is None:
            return str(self.state_folder / "spark_tables")
        return written if "://" in written else str(self.path(written))

    def with_trees(self, trees: TreesSettings) -> Settings:
        """The same, with other trees of the churn model."""
        return self.model_copy(update={"churn": self.churn.model_copy(update={"trees": trees})})

    def model_name(self, kind: str) -> str:
        """The registered name of this project's model of a kind (``churn``, ``value``)."""
        prefix = f"{self.project.name}-" if self.registry.model_prefix is None else self.registry.model_prefix
        return prefix + kind


def load_settings(path: str | Path) -> Settings:
    """Read and check ``foresight.toml``.

    Raises:
        UsageError: the file is missing, is no TOML, or has an unknown key or a wrong value.
    """
    file = Path(path).resolve()
    if file.is_dir():
        file = file / "foresight.toml"
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            "There is no such configuration file.",
            where=str(file),
            fix="Copy an example folder and edit its foresight.toml.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"The configuration file cannot be read ({type(error).__name__}).",
            where=str(file),
            fix="Give this user the right to read it.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The file is not valid TOML: {error}.", where=str(file), fix="Correct that line.") from error
    if "file" in content:
        raise UsageError("Unknown key 'file'.", where=f"{file}: file", fix=did_you_mean("file", _keys_at([])))
    try:
        return Settings.model_validate({"file": file, **content})
    except ValidationError as error:
        raise _explained(error, file) from error


def _installed(package: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None  # "a.b" without an "a", or no name at all


def _explained(error: ValidationError, file: Path) -> UsageError:
    # A misspelt key is both unknown and missing: the misspelling is what to say.
    problems = error.errors(include_input=False, include_url=False)
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    place = [part for part in first["loc"] if isinstance(part, str)]
    where = f"{file}: {'.'.join(map(str, first['loc']))}"
    if first["type"] == "extra_forbidden":
        return UsageError(f"Unknown key '{place[-1]}'.", where=where, fix=did_you_mean(place[-1], _keys_at(place[:-1])))
    if first["type"] == "missing":
        return UsageError(f"The key '{place[-1]}' is missing.", where=where, fix="Add it; the examples show how.")
    return UsageError(f"'{place[-1]}' is not right: {first['msg']}.", where=where, fix="Correct the value.")


def _keys_at(place: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in place:
        field = model.model_fields.get(part)
        inner = _model_within(field.annotation) if field is not None else None
        model = inner or model
    return [info.alias or name for name, info in model.model_fields.items() if model is not Settings or name != "file"]


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_within(part))), None)
