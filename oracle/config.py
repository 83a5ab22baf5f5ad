"""The settings: environment over `.env` over defaults, checked at start, all problems told at once.

A setting is one field of `Settings`; its environment variable is the field's name in capitals. The
text under a field is what `.env.example` and docs/settings.md say about it, and its example is what
an error shows. A setting that nothing reads does not exist.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from oracle.errors import SettingsError
from oracle.estimate.limits import DEFAULT_LIMITS
from oracle.masking import LONGEST_TEXT, clean, keys_in, mask

Texts = Mapping[str, str | None]
SIMULATED = "simulated"

# What makes each source configured, in the order in which sources are asked.
SOURCES = {
    "core": ("bitcoin_rpc_url", "bitcoin_datadir"),
    "electrs": ("electrs_url",),
    "mempool": ("mempool_api_url",),
    "blkfiles": ("bitcoin_datadir",),
}
RETIRED = dict.fromkeys(
    ("FASTAPI_HOST", "FASTAPI_PORT", "FASTAPI_WORKERS"), "nginx serves the site"
)
RETIRED["MEMPOOL_WS_URL"] = "the timer asks for new blocks every ANALYSIS_INTERVAL_MINUTES"


def _split(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, str)
        else value
    )


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://(\S+@)?(\[[0-9a-fA-F:.]+\]|[^\s/:@?#]+)(:\d+)?(/\S*)?", value):
        raise ValueError("should be an address that starts with http:// or https://")
    return value


Url = Annotated[str, AfterValidator(lambda text: _url(text).rstrip("/"))]
SecretUrl = Annotated[
    SecretStr, AfterValidator(lambda text: SecretStr(_url(text.get_secret_value())))
]
Folder = Annotated[Path, BeforeValidator(os.path.expanduser)]
Address = Annotated[str, Field(pattern=r"^[^@\s,<>]+@[^@\s,<>]+$")]
SourceName = Literal["core", "electrs", "mempool", "blkfiles", "simulated"]
NetworkName = Literal["main", "test", "testnet4", "signet", "regtest"]
SourceNames = Annotated[tuple[SourceName, ...], BeforeValidator(_split)]
Delays = Annotated[tuple[Annotated[float, Field(ge=0, le=3600)], ...], BeforeValidator(_split)]
Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)
]


class Setting(NamedTuple):
    """One line of `oracle config`: the value as one would write it, masked where it is secret."""

    name: str
    value: str
    origin: str  # command line, environment, .env or default


class Settings(BaseModel, frozen=True, use_attribute_docstrings=True, validate_default=True):
    """All settings, checked and frozen. Make it with `load_settings`."""

    bitcoin_rpc_url: Url | None = None
    """Bitcoin Core's JSON-RPC address; with BITCOIN_DATADIR alone it is taken from bitcoin.conf.
    Example: http://127.0.0.1:8332"""
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
    """Which sources of blocks are asked, in this order: core, electrs, mempool, blkfiles, or
    simulated alone; unset: those configured. Example: core,electrs"""
    oracle_network: NetworkName | None = None
    """The network that blocks must be of: main, test, testnet4, signet or regtest; unset: whatever
    the source is on. Example: main"""
    oracle_source_timeout_seconds: float = Field(30.0, gt=0, le=600)
    """How long one request to a source may take. Example: 30"""
    oracle_mempool_retry_delays_seconds: Delays = (5.0, 15.0, 45.0)
    """Waits between the tries when mempool or electrs does not answer. Example: 5,15,45"""
    oracle_rpc_retry_delays_seconds: Delays = (10.0, 10.0)
    """Waits between the tries when Bitcoin Core does not answer. Example: 10,10"""
    oracle_quote_max_age_seconds: int = Field(DEFAULT_LIMITS.quote_max_age_seconds, gt=0)
    """An exchange price older than this is marked stale and warns of nothing; mempool updates
    hourly.
    Example: 7200"""

    duckdb_path: Folder = Path("state/oracle.duckdb")
    """The database; unset with the simulated chain: state/simulated.duckdb.
    Example: /var/lib/onchain-oracle/oracle.duckdb"""
    duckdb_backup_path: Folder = Path(tempfile.gettempdir(), "oracle-backup.duckdb")
    """Where a run's rows go when the database cannot be written; unset: in the temporary folder.
    Example: /var/backups/oracle-backup.duckdb"""
    oracle_first_run_blocks: int = Field(290, ge=145, le=10000)
    """How many blocks the first run reads: two windows, so that the same-window rule knows the
    parents.
    Example: 290"""
    oracle_max_catch_up_days: int = Field(7, ge=1, le=36500)
    """A record that is further behind than so many days starts anew behind a gap instead of
    catching up block by block. Example: 7"""
    analysis_interval_minutes: int = Field(10, ge=1, le=1440)
    """How often the timer runs a build; pages say by it when the next one is due. Example: 10"""

    utxoracle_confidence_threshold: float = Field(DEFAULT_LIMITS.confidence_threshold, ge=0, le=1)
    """Prices with less confidence than this, from 0 to 1, are not valid and show as Low confidence.
    Example: 0.3"""
    utxoracle_min_price_usd: float = Field(DEFAULT_LIMITS.min_price_usd, gt=0)
    """Prices below this are not valid. Example: 10000"""
    utxoracle_max_price_usd: float = Field(DEFAULT_LIMITS.max_price_usd, gt=0)
    """Prices above this are not valid. Example: 500000"""
    oracle_divergence_threshold_percent: float = Field(
        DEFAULT_LIMITS.divergence_threshold_percent, gt=0, le=100
    )
    """From this distance to the exchange price on, either way, a divergence is large. Example:
    2.0"""
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
    """A file for the log, one JSON object a line, a new one each UTC day; standard error gets the
    log in any case. Example: /var/log/onchain-oracle/oracle.log"""
    log_retention_days: int = Field(30, ge=1, le=3650)
    """How many days of LOG_FILE are kept. Example: 30"""

    alert_webhook_url: SecretUrl | None = None
    """Where notifications are posted as JSON that Slack understands, too. Example:
    https://hooks.slack.com/services/T000/B000/XXXX"""
    alert_webhook_secret: SecretStr | None = None
    """Signs each post with HMAC-SHA256 in the header X-Oracle-Signature. Example:
    a-long-random-text"""
    alert_email: Annotated[tuple[Address, ...], BeforeValidator(_split)] = ()
    """Who gets notifications by e-mail, with commas between them; needs SMTP_HOST. Example:
    ops@example.org"""
    smtp_host: str | None = Field(None, pattern=r"^\S+$")
    """The mail server. Example: smtp.example.org"""
    smtp_port: int = Field(587, ge=1, le=65535)
    """The mail server's port. Example: 587"""
    smtp_starttls: bool = True
    """Encrypt the connection with STARTTLS; false only for a mail server on this machine. Example:
    true"""
    smtp_user: str | None = None
    """User at the mail server; unset: no login. Example: oracle@example.org"""
    smtp_password: SecretStr | None = None
    """Password of that user. Example: a-long-random-password"""
    smtp_from: Address | None = None
    """The sender of our mail; unset: the first address of ALERT_EMAIL. Example:
    oracle@example.org"""

    # Fields without a text are no settings, but say where those came from and which names only look
    # like one.
    origins: dict[str, str] = {}
    warnings: tuple[str, ...] = ()

    @field_validator("*")
    @classmethod
    def _agrees_with_the_fields_before_it(cls, value: Any, info: Any) -> Any:
        # One field at a time, so that all problems come out together; defaults are checked, too.
        _compare(info.field_name, value, info.data)
        return value

    @property
    def is_simulated(self) -> bool:
        """Whether the blocks come from the simulated chain."""
        return self.oracle_sources == (SIMULATED,)

    def describe(self) -> list[Setting]:
        """Return every setting with its value, masked where it is secret, and where it came
        from."""
        shown = {name: self.redact(_shown(getattr(self, name.lower()))) for name in NAMES}
        return [
            Setting(name, value, self.origins.get(name, "default")) for name, value in shown.items()
        ]

    @property
    def secrets(self) -> frozenset[str]:
        """Return every value that must not be shown: secret settings, and keys of addresses."""
        found = {value.get_secret_value() for _, value in self if isinstance(value, SecretStr)}
        for url in (self.bitcoin_rpc_url, self.electrs_url, self.mempool_api_url):
            found.update(keys_in(url or ""))
        return frozenset(found - {""})

    def redact(self, text: str, limit: int = LONGEST_TEXT) -> str:
        """Return a text with every secret masked, and whatever else looks like credentials."""
        return mask(text, self.secrets, limit)

    def clean(self, value: object) -> Any:
        """Return a value as JSON can hold it, with its texts redacted."""
        return clean(value, self.secrets)


NAMES = tuple(name.upper() for name, field in Settings.model_fields.items() if field.description)


def help_of(name: str) -> tuple[str, str]:
    """Return what a setting is for, and an example of its value."""
    text = " ".join((Settings.model_fields[name.lower()].description or "").split())
    purpose, _, example = text.partition(" Example: ")
    return purpose, example


def load_settings(
    environ: Texts, dotenv: Path | None = None, *, overrides: Texts | None = None
) -> Settings:
    """Return the checked settings; raise `SettingsError` with every problem there is.

    `overrides` are values by setting name that win over the environment (a command's options).
    """
    try:  # literally: `$` is a character, as in systemd's files
        from_file = dotenv_values(dotenv, interpolate=False, encoding="utf-8-sig") if dotenv else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{dotenv} cannot be read: {error}"]) from None
    layers = {".env": from_file, "environment": environ, "command line": overrides or {}}
    # A later layer wins over an earlier one; an empty value counts as unset.
    origins = {
        name: origin
        for origin in layers
        for name in NAMES
        if (layers[origin].get(name) or "").strip()
    }
    values = {
        name.lower(): (layers[origin][name] or "").strip() for name, origin in origins.items()
    }
    about = {"origins": origins, "warnings": tuple(_strange_names({*environ, *from_file}))}
    try:
        return Settings.model_validate(_computed_defaults(values) | values | about)
    except ValidationError as error:
        raise SettingsError(_sentences(error)) from None  # its own text may hold a secret


def _computed_defaults(values: Mapping[str, str]) -> dict[str, str]:
    """Return the defaults that depend on which sources are configured."""
    configured = ",".join(name for name, any_of in SOURCES.items() if values.keys() & set(any_of))
    sources = values.get("oracle_sources", configured or SIMULATED)
    # Numbers of a simulated market never enter a real record.
    return {"oracle_sources": sources} | (
        {"duckdb_path": "state/simulated.duckdb"} if sources == SIMULATED else {}
    )


def _compare(name: str, value: Any, earlier: Mapping[str, Any]) -> None:
    """Raise ValueError when a field does not fit those before it; `earlier` lacks fields that are
    wrong."""
    if name == "smtp_host" and value is None and earlier.get("alert_email"):
        raise ValueError("is needed to send mail to ALERT_EMAIL")
    if name == "utxoracle_max_price_usd" and value <= earlier.get("utxoracle_min_price_usd", 0):
        raise ValueError("should be above UTXORACLE_MIN_PRICE_USD")
    if name == "oracle_sources" and value != (SIMULATED,):
        usable = [
            source
            for source, any_of in SOURCES.items()
            if any(earlier.get(field, True) for field in any_of)
        ]
        if not value or not set(value) <= set(usable):
            raise ValueError(
                "should be simulated, or some of the sources set up "
                f"({', '.join(usable) or 'none'})"
            )


def _sentences(error: ValidationError) -> list[str]:
    """Return one sentence a setting: its name, what is wrong, an example; never the value."""
    wrong = {
        str(detail["loc"][0]).upper(): detail["msg"].removeprefix("Value error, ")
        for detail in error.errors()
    }
    return [
        f"{name}: {problem}, for example {name}={help_of(name)[1]}"
        for name, problem in wrong.items()
    ]


def _strange_names(names: set[str]) -> Iterator[str]:
    """Yield a sentence for each name that was or almost is ours."""
    for name in sorted(names - set(NAMES)):
        if name in RETIRED:
            yield f"{name} is no longer read: {RETIRED[name]}"
        elif near := get_close_matches(name.upper(), NAMES, n=1, cutoff=0.85):
            yield f"{name} is not a setting; did you mean {near[0]}?"


def _shown(value: object) -> str:
    """Return a value as one would write it."""
    parts = value if isinstance(value, tuple) else [value]
    return ",".join(str(part) for part in parts if part is not None)
