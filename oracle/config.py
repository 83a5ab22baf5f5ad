"""The settings: environment over `.env` over defaults, checked at start, all problems told at once.

A setting is one field of `Settings`; its environment variable is the field's name in capitals. The text under
a field is what `.env.example` and docs/settings.md say about it, and its example is what an error shows.
A setting that nothing reads does not exist.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote, quote_plus, unquote, urlsplit

from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from oracle.errors import SettingsError

MASK = "********"
MAX_WORD = 12
SIMULATED = "simulated"
DEFAULT_DATABASE = "state/oracle.duckdb"
SIMULATED_DATABASE = "state/simulated.duckdb"  # numbers of a simulated market never enter a real record

# What makes each source configured, in the order in which sources are asked.
SOURCES = {
    "core": ("bitcoin_rpc_url", "bitcoin_datadir"),
    "electrs": ("electrs_url",),
    "mempool": ("mempool_api_url",),
    "blkfiles": ("bitcoin_datadir",),
    SIMULATED: (),
}
RETIRED = dict.fromkeys(("FASTAPI_HOST", "FASTAPI_PORT", "FASTAPI_WORKERS"), "nginx serves the site")
RETIRED["MEMPOOL_WS_URL"] = "the timer asks for new blocks every ANALYSIS_INTERVAL_MINUTES"
# In a URL, in a request's header, and from Bitcoin Core's cookie, which no setting holds.
CREDENTIALS = (
    r"(?<=://)[^\s/]+(?=@)",
    r"(?<=Basic )[A-Za-z0-9+/]{8,}={0,2}",
    r"(?<=__cookie__:)\w+",
)
OUR_PREFIXES = "UTXORACLE_ ORACLE_ MEMPOOL_ BITCOIN_ DUCKDB_ ALERT_ ANALYSIS_ LOG_ SMTP_ ELECTRS_"


def _split(value: Any) -> Any:
    is_list = isinstance(value, str)
    return tuple(part.strip() for part in value.split(",") if part.strip()) if is_list else value


def _address(value: str) -> str:
    if not re.fullmatch(r"[^@\s,<>]+@[^@\s,<>]+", value):
        raise ValueError("should be e-mail addresses, with commas between them")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an IPv6 address without its bracket
        is_good = False
    if not is_good or re.search(r"\s", value):
        raise ValueError("should be an address that starts with http:// or https://")
    return value


def _disagreement(name: str, value: Any, earlier: Mapping[str, Any]) -> str | None:
    user = name.replace("_password", "_user")
    if user != name and user in earlier and (value is None) != (earlier[user] is None):
        return f"and {user.upper()} need each other; set both or none"
    if name == "smtp_host" and value is None and earlier.get("alert_email"):
        return "is needed to send mail to ALERT_EMAIL"
    if name == "utxoracle_max_price_usd" and value <= earlier.get("utxoracle_min_price_usd", 0):
        return "should be above UTXORACLE_MIN_PRICE_USD"
    if name == "duckdb_backup_path" and value == earlier.get("duckdb_path"):
        return "should be another file than DUCKDB_PATH, best on another disk"
    return _wrong_order(value, earlier) if name == "oracle_sources" else None


def _wrong_order(names: tuple[str, ...], earlier: Mapping[str, Any]) -> str | None:
    if not names or len(set(names)) < len(names):
        return "should name each source once"
    if SIMULATED in names:
        return "should not mix the simulated chain with real ones" if len(names) > 1 else None
    unset = [name for name in names if all(earlier.get(field, 0) is None for field in SOURCES[name])]
    return f"names {unset[0]}, which needs {' or '.join(SOURCES[unset[0]]).upper()}" if unset else None


def _backup_path() -> Path:
    return Path(tempfile.gettempdir(), "oracle-backup.duckdb")


Url = Annotated[str, AfterValidator(lambda text: _url(text).rstrip("/"))]
SecretUrl = Annotated[SecretStr, AfterValidator(lambda text: SecretStr(_url(text.get_secret_value())))]
Folder = Annotated[Path, BeforeValidator(os.path.expanduser)]
Address = Annotated[str, AfterValidator(_address)]
SourceName = Literal["core", "electrs", "mempool", "blkfiles", "simulated"]
SourceNames = Annotated[tuple[SourceName, ...], BeforeValidator(_split)]
Delays = Annotated[tuple[Annotated[float, Field(ge=0, le=3600)], ...], BeforeValidator(_split)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)]


class Setting(NamedTuple):
    """One line of `oracle config`: the value as one would write it, masked where it is secret."""

    name: str
    value: str
    origin: str  # environment, .env, default, or what an override was called


class Settings(BaseSettings):
    """All settings, checked and frozen. Make it with `load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,  # the checks across fields run when a field is left out, too
        str_strip_whitespace=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )
    _origins: dict[str, str] = {}
    _warnings: tuple[str, ...] = ()

    bitcoin_rpc_url: Url | None = None
    """Bitcoin Core's JSON-RPC address; with BITCOIN_DATADIR alone it is taken from bitcoin.conf. Example:
    http://127.0.0.1:8332"""
    bitcoin_rpc_user: str | None = None
    """User of Bitcoin Core's JSON-RPC; unset: the cookie under BITCOIN_DATADIR. Example: oracle"""
    bitcoin_rpc_password: SecretStr | None = None
    """Password of that user. Example: a-long-random-password"""
    bitcoin_datadir: Folder | None = None
    """Bitcoin Core's data folder: its cookie, bitcoin.conf and blk files (read only). Example:
    /var/lib/bitcoind"""
    electrs_url: Url | None = None
    """Address of electrs or esplora, asked for raw blocks. Example: http://127.0.0.1:3000"""
    mempool_api_url: Url | None = None
    """Address of a mempool backend or frontend: raw blocks, and the exchange price. Example:
    http://127.0.0.1:8999"""
    oracle_sources: SourceNames = ()
    """Which sources of blocks are asked, in this order: core, electrs, mempool, blkfiles, or simulated
    alone; unset: those configured. Example: core,electrs"""
    oracle_source_timeout_seconds: float = Field(30.0, gt=0, le=600)
    """How long one request to a source may take. Example: 30"""
    oracle_mempool_retry_delays_seconds: Delays = (5.0, 15.0, 45.0)
    """Waits between the tries when mempool or electrs does not answer. Example: 5,15,45"""
    oracle_rpc_retry_delays_seconds: Delays = (10.0, 10.0)
    """Waits between the tries when Bitcoin Core does not answer. Example: 10,10"""
    oracle_quote_max_age_seconds: int = Field(7200, gt=0)
    """An exchange price older than this is marked stale and warns of nothing; mempool updates hourly.
    Example: 7200"""

    duckdb_path: Folder = Path(DEFAULT_DATABASE)
    """The database; unset with the simulated chain: state/simulated.duckdb.
    Example: /var/lib/onchain-oracle/oracle.duckdb"""
    duckdb_backup_path: Folder = Field(default_factory=_backup_path)
    """Where a run's rows go when the database cannot be written; unset: in the temporary folder. Example:
    /var/backups/oracle-backup.duckdb"""
    oracle_first_run_blocks: int = Field(290, ge=145, le=10000)
    """How many blocks the first run reads: two windows, so that the same-window rule knows the parents.
    Example: 290"""
    analysis_interval_minutes: int = Field(10, ge=1, le=1440)
    """How often the timer runs a build; pages say by it when the next one is due. Example: 10"""

    utxoracle_confidence_threshold: float = Field(0.3, ge=0, le=1)
    """Prices with less confidence than this, from 0 to 1, are not valid and show as Low confidence.
    Example: 0.3"""
    utxoracle_min_price_usd: float = Field(10_000.0, gt=0)
    """Prices below this are not valid. Example: 10000"""
    utxoracle_max_price_usd: float = Field(500_000.0, gt=0)
    """Prices above this are not valid. Example: 500000"""
    oracle_divergence_threshold_percent: float = Field(2.0, gt=0, le=100)
    """From this distance to the exchange price on, either way, a divergence is large. Example: 2.0"""
    oracle_calculator: str = Field(
        "oracle.calculator:UTXOracleCalculator", pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
    )
    """The class that computes prices, as package.module:Class. Example:
    oracle.calculator:UTXOracleCalculator"""

    oracle_site_dir: Folder = Path("site")
    """Where releases of the site are written; nginx serves its folder named public. Example:
    /var/lib/onchain-oracle/site"""
    oracle_public_url: Url | None = None
    """The site's address as readers see it, for feeds and the sitemap. Example: https://price.example.org"""
    oracle_keep_releases: int = Field(5, ge=2, le=1000)
    """How many releases stay on disk; one can go back to any of them. Example: 5"""
    oracle_publish_outputs: bool = False
    """Publish the eligible outputs by month as Parquet files, too (large). Example: true"""

    log_level: Level = "INFO"
    """The least level that is logged: DEBUG, INFO, WARNING, ERROR or CRITICAL. Example: INFO"""
    log_file: Folder | None = None
    """A file for the log, one JSON object a line, a new one each UTC day; standard error gets the log in
    any case. Example: /var/log/onchain-oracle/oracle.log"""
    log_retention_days: int = Field(30, ge=1, le=3650)
    """How many days of LOG_FILE are kept. Example: 30"""

    alert_webhook_url: SecretUrl | None = None
    """Where notifications are posted as JSON that Slack understands, too. Example:
    https://hooks.slack.com/services/T000/B000/XXXX"""
    alert_webhook_secret: SecretStr | None = None
    """Signs each post with HMAC-SHA256 in the header X-Oracle-Signature. Example: a-long-random-text"""
    alert_email: Annotated[tuple[Address, ...], BeforeValidator(_split)] = ()
    """Who gets notifications by e-mail, with commas between them; needs SMTP_HOST. Example:
    ops@example.org"""
    smtp_host: str | None = Field(None, pattern=r"^\S+$")
    """The mail server. Example: smtp.example.org"""
    smtp_port: int = Field(587, ge=1, le=65535)
    """The mail server's port; 465 means TLS from the first byte. Example: 587"""
    smtp_starttls: bool = True
    """Encrypt the connection with STARTTLS; false only for a mail server on this machine. Example: true"""
    smtp_user: str | None = None
    """User at the mail server; unset: no login. Example: oracle@example.org"""
    smtp_password: SecretStr | None = None
    """Password of that user. Example: a-long-random-password"""
    smtp_from: Address | None = None
    """The sender of our mail; unset: the first address of ALERT_EMAIL. Example: oracle@example.org"""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        *_others: Any,
        **_by_name: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what is handed over: the environment is an argument of `load_settings`."""
        return (init_settings,)

    @field_validator("*")
    @classmethod
    def _agrees_with_the_fields_before_it(cls, value: Any, info: Any) -> Any:
        # Across fields, but one field at a time, so that all problems come out together. A field that is
        # wrong itself is absent from info.data.
        if problem := _disagreement(str(info.field_name), value, info.data):
            raise ValueError(problem)
        return value

    @property
    def is_simulated(self) -> bool:
        """Whether the blocks come from the simulated chain."""
        return self.oracle_sources == (SIMULATED,)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Names in the environment or `.env` that look like settings and are none, a sentence each."""
        return self._warnings

    def where_from(self, name: str) -> str:
        """Return where a setting's value came from: environment, .env, default, or an override's name."""
        return self._origins.get(name.upper(), "default")

    def describe(self) -> list[Setting]:
        """Return every setting with its value, masked where it is secret, and where it came from."""
        return [Setting(name, _shown(getattr(self, name.lower())), self.where_from(name)) for name in NAMES]

    def redact(self, text: str) -> str:
        """Return a text with every configured secret masked, and whatever else looks like credentials."""
        return self._secret_pattern.sub(MASK, text)

    def clean(self, value: object) -> Any:
        """Return a value as JSON can hold it, its texts redacted; what JSON does not know becomes text."""
        if isinstance(value, Mapping):
            return {self.redact(str(key)): self.clean(part) for key, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(part) for part in value]
        is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        return value if value is None or is_number else self.redact(str(value))

    @cached_property
    def _secret_pattern(self) -> re.Pattern[str]:
        secrets = {secret for name in NAMES for secret in _secrets_of(getattr(self, name.lower()))}
        # As it is, quoted for a URL, and escaped as in a repr and in JSON; the longest first.
        ways = (str, quote, quote_plus, lambda text: repr(text)[1:-1], lambda text: json.dumps(text)[1:-1])
        spellings = sorted({way(secret) for way in ways for secret in secrets}, key=len, reverse=True)
        return re.compile("|".join([*map(re.escape, spellings), *CREDENTIALS]))

    def __repr_args__(self) -> Iterator[tuple[str, str]]:  # a URL may hold a password
        return iter([(line.name, line.value) for line in self.describe()])


NAMES: tuple[str, ...] = tuple(name.upper() for name in Settings.model_fields)


def help_of(name: str) -> tuple[str, str]:
    """Return what a setting is for, and an example of its value."""
    text = " ".join((Settings.model_fields[name.lower()].description or "").split())
    purpose, _, example = text.partition(" Example: ")
    return purpose, example


def load_settings(
    environ: Mapping[str, str], dotenv: Path | None = None, *, overrides: Mapping[str, str] | None = None
) -> Settings:
    """Return the checked settings; raise `SettingsError` with every problem there is.

    `overrides` are values by setting name that win over the environment (a command's options).
    """
    from_file, problems = _read_dotenv(dotenv)
    layers = {".env": from_file, "environment": environ, "command line": overrides or {}}
    # A later layer wins over an earlier one; an empty value counts as unset.
    origins = {name: origin for origin in layers for name in NAMES if layers[origin].get(name, "").strip()}
    values = {name.lower(): layers[origin][name] for name, origin in origins.items()}
    try:
        settings = Settings.model_validate(_completed(values))
    except ValidationError as error:
        raise SettingsError(problems + _sentences(error)) from None  # its own text may hold a secret
    if problems:
        raise SettingsError(problems)
    settings._origins.update(origins)
    settings._warnings = tuple(_strange_names(environ, from_file))
    return settings


def _completed(values: dict[str, str]) -> dict[str, str]:
    """Return the values with the defaults that depend on which sources are configured."""
    configured = [name for name, any_of in SOURCES.items() if any(field in values for field in any_of)]
    values = {"oracle_sources": ",".join(configured) or SIMULATED} | values
    is_simulated = _split(values["oracle_sources"]) == (SIMULATED,)
    return ({"duckdb_path": SIMULATED_DATABASE} if is_simulated else {}) | values


def _read_dotenv(path: Path | None) -> tuple[dict[str, str], list[str]]:
    """Return the names and values of a `.env` file, literally: `$` is a character as in systemd's files."""
    if path is None or not path.exists():
        return {}, []
    try:
        with path.open(encoding="utf-8-sig") as stream:
            lines = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{path} cannot be read: {error}"]
    problems = [f"{path} line {line.original.line} is not NAME=value" for line in lines if line.error]
    return {line.key: line.value or "" for line in lines if line.key}, problems


def _sentences(error: ValidationError) -> list[str]:
    """Return one sentence a problem: the setting's name, what is wrong, an example; never the value."""
    by_name: dict[str, str] = {}
    for detail in error.errors(include_input=False, include_url=False):
        name = str(detail["loc"][0]).upper()
        reason = str(detail.get("ctx", {}).get("error") or re.sub("^(Input|String) ", "", detail["msg"]))
        by_name.setdefault(name, f"{name} {reason}, for example {name}={help_of(name)[1]}")
    return list(by_name.values())


def _strange_names(environ: Mapping[str, str], from_file: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each name that was or almost is ours; in the file all names should be ours."""
    for name in sorted({*environ, *from_file} - set(NAMES)):
        near = get_close_matches(name.upper(), NAMES, n=1, cutoff=0.82)
        if name in RETIRED:
            yield f"{name} is no longer read: {RETIRED[name]}"
        elif near and (name in from_file or name.upper().startswith(tuple(OUR_PREFIXES.split()))):
            yield f"{name} is not a setting; did you mean {near[0]}?"
        elif name in from_file:
            yield f"{name} is not a setting"


def _shown(value: object) -> str:
    """Return a value as one would write it, without its secrets."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return ",".join(_shown(part) for part in value)
    if isinstance(value, str):
        return re.sub(CREDENTIALS[0], MASK, value)
    if isinstance(value, bool | float):
        return str(value).lower().removesuffix(".0")
    return "" if value is None else str(value)


def _secrets_of(value: object) -> set[str]:
    """Return the secret parts of a value: a secret itself, a webhook's path, a URL's password."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        path = urlsplit(secret).path[1:] if secret.startswith("http") else ""
        return {secret, path} if len(path) > MAX_WORD else {secret}  # "hook" alone gives nothing away
    password = urlsplit(value).password if isinstance(value, str) and "://" in value else None
    return {password, unquote(password)} if password else set()
