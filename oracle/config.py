"""The settings: environment over `.env` over defaults, checked at start, all problems told at once.

A setting is one field of `Settings`; its environment variable is the field's name in capitals. The
text under a field is what `.env.example` and docs/settings.md say about it, and its example is what
an error shows. A setting that nothing reads does not exist.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from oracle import fields
from oracle.errors import SettingsError
from oracle.estimate.limits import DEFAULT_LIMITS
from oracle.fields import Secret, fields_of, setting
from oracle.masking import LONGEST_TEXT, clean, keys_in, mask

Texts = Mapping[str, str | None]
SIMULATED = "simulated"
MAX_PEERS = 16  # each build asks all of them at once

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
RETIRED["SMTP_STARTTLS"] = "SMTP_SECURITY says starttls, tls or none"
RETIRED["MEMPOOL_WS_URL"] = "the timer asks for new blocks every ANALYSIS_INTERVAL_MINUTES"


ADDRESS = fields.matching(r"[^@\s,<>]+@[^@\s,<>]+", "should be a mail address")
HOST = fields.matching(r"\S+", "should be the name of a host")
CALCULATOR = fields.matching(
    r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", "should be a class, as package.module:Class"
)
NETWORK = fields.one_of("main", "test", "testnet4", "signet", "regtest")
SOURCE = fields.one_of(*SOURCES, SIMULATED)
LEVEL = fields.one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
DELAYS = fields.many(fields.number(least=0, most=3600))
PEERS = fields.at_most(MAX_PEERS, fields.many(fields.site_url))


def _level(value: str) -> str:
    return LEVEL(value.upper())


class Setting(NamedTuple):
    """One line of `oracle config`: the value as one would write it, masked where it is secret."""

    name: str
    value: str
    origin: str  # command line, environment, .env or default


class Settings:
    """All settings, checked and frozen. Make it with `load_settings`."""

    bitcoin_rpc_url: str | None = setting(None, fields.url)
    """Bitcoin Core's JSON-RPC address; with BITCOIN_DATADIR alone it is taken from bitcoin.conf.
    Example: http://127.0.0.1:8332"""
    bitcoin_rpc_user: str | None = setting(None, fields.text)
    """User of Bitcoin Core's JSON-RPC; unset: the cookie under BITCOIN_DATADIR. Example: oracle"""
    bitcoin_rpc_password: Secret | None = setting(None, fields.secret)
    """Password of that user. Example: a-long-random-password"""
    bitcoin_datadir: Path | None = setting(None, fields.folder)
    """Bitcoin Core's data folder: its cookie, bitcoin.conf and blk files (read only). Example:
    /var/lib/bitcoind"""
    electrs_url: str | None = setting(None, fields.url)
    """Address of electrs or esplora, asked for raw blocks. Example: http://127.0.0.1:3000"""
    mempool_api_url: str | None = setting(None, fields.url)
    """Address of a mempool backend or frontend: raw blocks, and the exchange price. Example:
    http://127.0.0.1:8999"""
    oracle_sources: tuple[str, ...] = setting((), fields.many(SOURCE))
    """Which sources of blocks are asked, in this order: core, electrs, mempool, blkfiles, or
    simulated alone; unset: those configured. Example: core,electrs"""
    oracle_network: str | None = setting(None, NETWORK)
    """The network that blocks must be of: main, test, testnet4, signet or regtest; unset: whatever
    the source is on. Example: main"""
    oracle_source_timeout_seconds: float = setting(30.0, fields.number(above=0, most=600))
    """How long one request to a source may take. Example: 30"""
    oracle_mempool_retry_delays_seconds: tuple[float, ...] = setting((5.0, 15.0, 45.0), DELAYS)
    """Waits between the tries when mempool or electrs does not answer. Example: 5,15,45"""
    oracle_rpc_retry_delays_seconds: tuple[float, ...] = setting((10.0, 10.0), DELAYS)
    """Waits between the tries when Bitcoin Core does not answer. Example: 10,10"""
    oracle_ca_file: Path | None = setting(None, fields.folder)
    """Certificates of authorities that are trusted, too, as for servers in one's own house.
    Example: /etc/ssl/home-ca.pem"""
    oracle_proxy: Secret | None = setting(None, fields.proxy_url)
    """Proxy for sources outside this machine and its private network, as Tor for .onion addresses
    (socks5h:// or http://). Example: socks5h://127.0.0.1:9050"""
    oracle_quote_min_usd: float = setting(
        DEFAULT_LIMITS.quote_min_usd, fields.number(above=0, most=1e12)
    )
    """An exchange price below this is not believed. Example: 100"""
    oracle_quote_max_usd: float = setting(
        DEFAULT_LIMITS.quote_max_usd, fields.number(above=0, most=1e12)
    )
    """An exchange price above this is not believed. Example: 100000000"""
    oracle_quote_max_factor: float = setting(
        DEFAULT_LIMITS.quote_max_factor, fields.number(above=1, most=1000)
    )
    """An exchange price that is more than this many times away from the last quotes and from the
    on-chain price is not believed. Example: 2"""
    oracle_quote_max_age_seconds: int = setting(
        DEFAULT_LIMITS.quote_max_age_seconds, fields.integer(1)
    )
    """An exchange price older than this is marked stale and warns of nothing; mempool updates
    hourly.
    Example: 7200"""

    duckdb_path: Path = setting(Path("state/oracle.duckdb"), fields.folder)
    """The database; unset with the simulated chain: state/simulated.duckdb.
    Example: /var/lib/onchain-oracle/oracle.duckdb"""
    duckdb_backup_path: Path = setting(Path("state/backup/oracle.duckdb"), fields.folder)
    """Where a run's rows go when the database cannot be written; unset: in the folder backup beside
    it. Example: /var/backups/oracle-backup.duckdb"""
    oracle_backup_dir: Path = setting(Path("state/copies"), fields.folder)
    """Where `oracle backup` puts copies of the database, best on another disk; unset: in the folder
    copies beside it. Example: /var/backups/onchain-oracle"""
    oracle_first_run_blocks: int = setting(1300, fields.integer(145, 10000))
    """How many blocks the first run reads: a week and two windows, so that the chart of seven days
    is whole and the same-window rule knows the parents.
    Example: 1300"""
    oracle_history_days: int = setting(365, fields.integer(0, 7000))
    """How many days of the past `oracle backfill` adds when it is told none, as far as the node
    goes; 0 is none. Example: 365"""
    oracle_max_catch_up_days: int = setting(7, fields.integer(1, 36_500))
    """A record that is further behind than so many days starts anew behind a gap instead of
    catching up block by block. Example: 7"""
    analysis_interval_minutes: int = setting(10, fields.integer(1, 1440))
    """How often the timer runs a build; pages say by it when the next one is due. Example: 10"""

    utxoracle_confidence_threshold: float = setting(
        DEFAULT_LIMITS.confidence_threshold, fields.number(least=0, most=1)
    )
    """Prices with less confidence than this, from 0 to 1, are not valid and show as Low confidence.
    Example: 0.3"""
    utxoracle_min_price_usd: float = setting(DEFAULT_LIMITS.min_price_usd, fields.number(above=0))
    """Prices below this are not valid. Example: 10000"""
    utxoracle_max_price_usd: float = setting(DEFAULT_LIMITS.max_price_usd, fields.number(above=0))
    """Prices above this are not valid. Example: 500000"""
    oracle_divergence_threshold_percent: float = setting(
        DEFAULT_LIMITS.divergence_threshold_percent, fields.number(above=0, most=100)
    )
    """From this distance to the exchange price on, either way, a divergence is large. Example:
    2.0"""
    oracle_calculator: str = setting("oracle.calculator:UTXOracleCalculator", CALCULATOR)
    """The class that computes prices, as package.module:Class. Example:
    oracle.calculator:UTXOracleCalculator"""

    oracle_site_dir: Path = setting(Path("site"), fields.folder)
    """Where releases of the site are written; nginx serves its folder named public. Example:
    /var/lib/onchain-oracle/site"""
    oracle_public_url: str | None = setting(None, fields.url)
    """The site's address as readers see it, for feeds and the sitemap. Example: https://price.example.org"""
    oracle_data_licence: str | None = setting(None, fields.licence)
    """The licence under which you give the published numbers to others, by its SPDX name; the page
    for programs and the Parquet files state it. Example: CC0-1.0"""
    oracle_keep_releases: int = setting(5, fields.integer(2, 1000))
    """How many releases stay on disk; one can go back to any of them. Example: 5"""
    oracle_signing_key: Path | None = setting(None, fields.folder)
    """A minisign secret key without a password that signs what is published; oracle keygen makes
    one. Example: /var/lib/onchain-oracle/signing.key"""
    oracle_peers: tuple[str, ...] = setting((), PEERS)
    """Other publishers whose newest prices each build sets beside ours, with commas between them;
    the site names them. Example: https://price.example.org,https://oracle.example.net"""
    oracle_publish_outputs: bool = setting(False, fields.boolean)
    """Publish the eligible outputs by month as Parquet files, too (large). Example: true"""

    log_level: str = setting("INFO", _level)
    """The least level that is logged: DEBUG, INFO, WARNING, ERROR or CRITICAL. Example: INFO"""
    log_file: Path | None = setting(None, fields.folder)
    """A file for the log, one JSON object a line, a new one each UTC day; standard error gets the
    log in any case. Example: /var/log/onchain-oracle/oracle.log"""
    log_retention_days: int = setting(30, fields.integer(1, 3650))
    """How many days of LOG_FILE are kept. Example: 30"""

    alert_webhook_url: Secret | None = setting(None, fields.secret_url)
    """Where notifications are posted as JSON that Slack understands, too. Example:
    https://hooks.slack.com/services/T000/B000/XXXX"""
    alert_webhook_format: str = setting("auto", fields.one_of("auto", "json", "ntfy"))
    """What the webhook gets: json, for Slack, Discord and programs; ntfy, the message as it is;
    auto tells by the address. Example: ntfy"""
    alert_webhook_secret: Secret | None = setting(None, fields.secret)
    """Signs each post with HMAC-SHA256 in the header X-Oracle-Signature. Example:
    a-long-random-text"""
    alert_email: tuple[str, ...] = setting((), fields.many(ADDRESS))
    """Who gets notifications by e-mail, with commas between them; needs SMTP_HOST. Example:
    ops@example.org"""
    smtp_host: str | None = setting(None, HOST)
    """The mail server. Example: smtp.example.org"""
    smtp_port: int = setting(587, fields.integer(1, 65535))
    """The mail server's port. Example: 587"""
    smtp_security: str = setting("starttls", fields.one_of("starttls", "tls", "none"))
    """How the mail server is spoken to: starttls, tls (from the first byte; what port 465 means),
    or none, for a mail server on this machine only. Example: tls"""
    smtp_user: str | None = setting(None, fields.text)
    """User at the mail server; unset: no login. Example: oracle@example.org"""
    smtp_password: Secret | None = setting(None, fields.secret)
    """Password of that user. Example: a-long-random-password"""
    smtp_from: str | None = setting(None, ADDRESS)
    """The sender of our mail; unset: the first address of ALERT_EMAIL. Example:
    oracle@example.org"""

    # Not settings, but where those came from, and which names only look like one.
    origins: Mapping[str, str]
    warnings: tuple[str, ...]

    # Written out: a dataclass of so many fields takes longer to make than all else here.
    def __init__(
        self, values: Mapping[str, object], origins: Mapping[str, str], warnings: tuple[str, ...]
    ) -> None:
        vars(self).update(values, origins=origins, warnings=warnings)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"settings are not changed: {name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # as a dictionary of values

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
        values = vars(self).values()
        found = {value.get_secret_value() for value in values if isinstance(value, Secret)}
        for url in (self.bitcoin_rpc_url, self.electrs_url, self.mempool_api_url):
            found.update(keys_in(url or ""))
        return frozenset(found - {""})

    def redact(self, text: str, limit: int = LONGEST_TEXT) -> str:
        """Return a text with every secret masked, and whatever else looks like credentials."""
        return mask(text, self.secrets, limit)

    def clean(self, value: object) -> Any:
        """Return a value as JSON can hold it, with its texts redacted."""
        return clean(value, self.secrets)


FIELDS = fields_of(Settings)
NAMES = tuple(name.upper() for name in FIELDS)


def help_of(name: str) -> tuple[str, str]:
    """Return what a setting is for, and an example of its value."""
    text = " ".join(_texts_under_fields()[name.lower()].split())
    purpose, _, example = text.partition(" Example: ")
    return purpose, example


@cache
def _texts_under_fields() -> dict[str, str]:
    """Return the text under each field that has one. Read from the source when it is asked for:
    Python itself forgets these texts, and few commands need them."""
    import ast
    import inspect

    [declared] = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(declared, ast.ClassDef)  # noqa: S101 - it is a class
    texts = {}
    for above, below in pairwise(declared.body):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=text)):
                texts[name] = str(text)
    return texts


def load_settings(
    environ: Texts, dotenv: Path | None = None, *, overrides: Texts | None = None
) -> Settings:
    """Return the checked settings; raise `SettingsError` with every problem there is.

    `overrides` are values by setting name that win over the environment (a command's options).
    """
    from_file = _read_file(dotenv)
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
    found, wrong = _read_values(_computed_defaults(values) | values)
    if wrong:
        raise SettingsError(
            [f"{name}: {why}, for example {name}={help_of(name)[1]}" for name, why in wrong.items()]
        )
    warnings = tuple(_strange_names({*environ, *from_file}))
    return Settings(found, origins, warnings)


def _read_file(dotenv: Path | None) -> Texts:
    """Return the settings of a .env file; none when there is no such file."""
    if dotenv is None or not dotenv.exists():
        return {}
    from dotenv import dotenv_values

    try:  # literally: `$` is a character, as in systemd's files
        return dotenv_values(dotenv, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{dotenv} cannot be read: {error}"]) from None


def _read_values(texts: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of all fields, and what is wrong by setting name; a wrong value is told
    by what it should be, never by itself, for it may hold a secret."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, field in FIELDS.items():
        try:
            value = field.reader(texts[name]) if name in texts else field.default
            _compare(name, value, values)
        except ValueError as error:
            wrong[name.upper()] = str(error)
        else:
            values[name] = value
    return values, wrong


def _computed_defaults(values: Mapping[str, str]) -> dict[str, str]:
    """Return the defaults that depend on which sources are configured."""
    configured = ",".join(name for name, any_of in SOURCES.items() if values.keys() & set(any_of))
    sources = values.get("oracle_sources", configured or SIMULATED)
    # Numbers of a simulated market never enter a real record.
    usual = "state/simulated.duckdb" if sources == SIMULATED else "state/oracle.duckdb"
    database = Path(values.get("duckdb_path", usual))
    return {
        "oracle_sources": sources,
        "duckdb_path": str(database),
        "duckdb_backup_path": str(database.parent / "backup" / database.name),
        "oracle_backup_dir": str(database.parent / "copies"),
    }


def _compare(name: str, value: Any, earlier: Mapping[str, Any]) -> None:
    """Raise ValueError when a field does not fit those before it; `earlier` lacks fields that are
    wrong."""
    if name == "smtp_host" and value is None and earlier.get("alert_email"):
        raise ValueError("is needed to send mail to ALERT_EMAIL")
    if name == "oracle_quote_max_usd" and value <= earlier.get("oracle_quote_min_usd", 0):
        raise ValueError("should be above ORACLE_QUOTE_MIN_USD")
    if name == "utxoracle_max_price_usd" and value <= earlier.get("utxoracle_min_price_usd", 0):
        raise ValueError("should be above UTXORACLE_MIN_PRICE_USD")
    if name == "oracle_sources" and value != (SIMULATED,):
        usable = [
            source
            for source, any_of in SOURCES.items()
            if any(earlier.get(name, True) for name in any_of)
        ]
        if not value or not set(value) <= set(usable):
            raise ValueError(
                "should be simulated, or some of the sources set up "
                f"({', '.join(usable) or 'none'})"
            )


def _strange_names(names: set[str]) -> Iterator[str]:
    """Yield a sentence for each name that was or almost is ours."""
    for name in sorted(names - set(NAMES)):
        if name in RETIRED:
            yield f"{name} is no longer read: {RETIRED[name]}"
        elif near := difflib.get_close_matches(name.upper(), NAMES, n=1, cutoff=0.85):
            yield f"{name} is not a setting; did you mean {near[0]}?"


def _shown(value: object) -> str:
    """Return a value as one would write it."""
    parts = value if isinstance(value, tuple) else [value]
    return ",".join(str(part) for part in parts if part is not None)
