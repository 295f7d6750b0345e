"""The settings of one Treadle: defaults, then the file, then the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from engine.errors import BadRequest

ENVIRONMENT_PREFIX = "TREADLE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    What a person may decide about their Treadle.

    `data` is the folder that holds everything; `database` an address such as `postgresql://…`, empty for the SQLite file in
    `data`. `synchronous` is SQLite's (`FULL` survives a power cut, `NORMAL` a crash of the program). `slots` is how many runs
    work at the same time; `max_body_mb` bounds what a webhook accepts; `webhook_wait_s` how long its caller waits.
    `public_url` is where other people reach this Treadle, for the links to forms and approvals; its own address when empty.
    While more than `inbox_limit` runs are queued, webhooks are asked to come again later.
    Runs that ended more than `keep_days` ago are removed, those that failed after `keep_failed_days`, and their data after
    `keep_payload_days`; each workflow keeps at most `keep_runs`. While runs take more than `quota_mb`, the oldest lose their
    data, then go. 0 is no limit. `search` (`on`, `off`) says whether the data of runs can be searched for.
    `allow_code` lets code steps run, `allow_packages` lets them have packages installed; `code_processes` is how many of them
    work at the same time, 0 as many as there are processors.
    """

    data: Path
    database: str = ""
    host: str = "127.0.0.1"
    port: int = 8321
    synchronous: str = "FULL"
    slots: int = 1000
    max_body_mb: int = 32
    webhook_wait_s: int = 30
    keep_days: int = 90
    inbox_limit: int = 200_000
    keep_failed_days: int = 0
    keep_payload_days: int = 0
    keep_runs: int = 0
    quota_mb: int = 0
    search: str = "on"
    log_level: str = "WARNING"
    allow_code: bool = True
    allow_packages: bool = False
    code_processes: int = 0
    public_url: str = ""

    @property
    def database_url(self) -> str:
        """The address of the store."""
        return self.database or f"sqlite:///{self.data / 'treadle.db'}"

    @property
    def cages(self) -> Path:
        """Where code steps have their temp folders."""
        return self.data / "cages"

    @property
    def packages(self) -> Path:
        """Where the packages of code steps are kept."""
        return self.data / "packages"

    @property
    def folders(self) -> Path:
        """Where each workflow has its own folder of files."""
        return self.data / "files"

    @property
    def blobs(self) -> Path:
        """Where the content-addressed store keeps its bytes."""
        return self.data / "blobs"


def default_data() -> Path:
    """Return the place where this system keeps a program's data."""
    return Path(platformdirs.user_data_dir("treadle", appauthor=False))


def load_settings(*, data: Path | None = None, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """
    Read the settings once: defaults, then `treadle.toml` in the data folder, then `TREADLE_…`, then what was given by name.

    Raises `BadRequest` that lists everything that is wrong with them at once.
    """
    environment = os.environ if environment is None else environment
    folder = Path(data or environment.get("TREADLE_DATA") or default_data()).expanduser().absolute()
    problems: list[str] = []
    values: dict[str, Any] = {}
    file = folder / "treadle.toml"
    if file.exists():
        try:
            values |= tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(f"{file} cannot be read: {error}")
    known = {spec.name: spec for spec in fields(Settings) if spec.name != "data"}
    for name in known:
        if (text := environment.get(ENVIRONMENT_PREFIX + name.upper())) is not None:
            values[name] = text
    values |= {name: value for name, value in given.items() if value is not None}
    settings = Settings(data=folder)
    for name, value in values.items():
        if name not in known:
            problems.append(f"there is no setting “{name}”; known are {', '.join(sorted(known))}")
            continue
        try:
            settings = replace(settings, **{name: _read_as(type(getattr(settings, name)), value)})
        except ValueError:
            problems.append(f"“{name}” cannot be {value!r}")
    problems += _check(settings)
    if problems:
        raise BadRequest(
            "The settings cannot be used: " + "; ".join(problems) + ".", hint=f"They stand in {file} or in TREADLE_…."
        )
    return settings


def _read_as(kind: type, value: Any) -> Any:
    """Return a value from a file or the environment in its type; raises `ValueError`."""
    if kind is not bool:
        return kind(value)
    word = str(value).strip().lower()
    if word not in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        raise ValueError(word)
    return word in ("true", "yes", "on", "1")


def _check(settings: Settings) -> list[str]:
    problems = []
    if not 0 <= settings.port <= 65535:
        problems.append(f"“port” has to be between 0 and 65535, not {settings.port}")
    if settings.synchronous.upper() not in {"FULL", "NORMAL", "EXTRA"}:
        problems.append(f"“synchronous” is FULL, NORMAL or EXTRA, not {settings.synchronous!r}")
    if settings.log_level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        problems.append(f"“log_level” is DEBUG, INFO, WARNING or ERROR, not {settings.log_level!r}")
    if settings.search not in {"on", "off"}:
        problems.append(f"“search” is on or off, not {settings.search!r}")
    problems += [
        f"“{name}” cannot be negative"
        for name in ("keep_failed_days", "keep_payload_days", "keep_runs", "quota_mb")
        if getattr(settings, name) < 0
    ]
    problems += [
        f"“{name}” has to be at least 1"
        for name in ("slots", "max_body_mb", "webhook_wait_s", "keep_days", "inbox_limit")
        if getattr(settings, name) < 1
    ]
    if settings.code_processes < 0:
        problems.append("“code_processes” is 0 or more")
    return problems
