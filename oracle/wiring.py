"""From the settings to the things they name: sources, quotes, calculator, rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from oracle.config import Settings
from oracle.estimate.limits import Limits

# What a command does not use it does not load: each of these is imported where it is made.
if TYPE_CHECKING:
    from oracle.estimate.window import PriceCalculator
    from oracle.sources import BlockSource, QuoteSource
    from oracle.sources.failover import FailoverSource
    from oracle.sources.http import RetryPolicy
    from oracle.tick import TickRules
    from oracle.web import Route


Clock = Callable[[], float]
# How many days a new simulated chain has been running: enough for a site, or for a window.
SITE_DAYS = 10
WINDOW_DAYS = 2
LIVE_INTERVALS = 2  # a new block older than this many ticks was missed by them


class Sources(NamedTuple):
    """Where a run gets its input; a first run reads so many blocks."""

    blocks: FailoverSource
    quotes: QuoteSource | None
    first_run_blocks: int

    def close(self) -> None:
        """Release sockets and files of all sources."""
        self.blocks.close()
        if self.quotes:
            self.quotes.close()


def open_sources(
    settings: Settings, clock: Clock, *, is_lasting: bool = True, is_patient: bool = True
) -> Sources:
    """Return the sources of blocks in their order, used as one, and the source of exchange quotes
    if any.

    Args:
        settings: names the sources.
        clock: Unix seconds; the simulated chain grows with it.
        is_lasting: a new simulated chain is kept beside the database, with enough history for a
            site; else
            one that is not there yet is just long enough for a window, and forgotten.
        is_patient: wait between tries as the settings say; a probe does not.
    """
    if settings.is_simulated:
        return _simulated_sources(settings, clock, is_lasting)
    return _real_sources(settings, clock, is_patient, is_lasting)


def _simulated_sources(settings: Settings, clock: Clock, is_lasting: bool) -> Sources:
    from oracle.simulated.source import SimulatedSource
    from oracle.sources.failover import FailoverSource

    state = settings.duckdb_path.with_suffix(".headers")
    is_kept = is_lasting or state.exists()
    simulated = SimulatedSource(
        now=clock,
        state_path=state if is_kept else None,
        history_days=SITE_DAYS if is_kept else WINDOW_DAYS,
    )
    whole_chain = simulated.tip().height - simulated.chain.settings.first_height + 1
    return Sources(FailoverSource([simulated]), simulated, max(1, whole_chain))


def _real_sources(settings: Settings, clock: Clock, is_patient: bool, is_lasting: bool) -> Sources:
    from oracle.sources.failover import FailoverSource
    from oracle.sources.quotes import MempoolQuotes

    quotes = None
    if settings.mempool_api_url:
        quotes = MempoolQuotes(
            settings.mempool_api_url,
            clock=clock,
            retry=_retry(settings, settings.oracle_mempool_retry_delays_seconds, is_patient),
            route=route_of(settings),
        )
    blocks: list[BlockSource] = []
    for name in reversed(settings.oracle_sources):
        if name == "blkfiles":
            blocks.insert(0, _block_files(settings, is_lasting, blocks))
        else:
            blocks.insert(0, _block_source(name, settings, is_patient))
    together = FailoverSource(blocks, unasked_sources(settings))
    return Sources(together, quotes, settings.oracle_first_run_blocks)


def open_history(sources: Sources) -> QuoteSource | None:
    """Return the exchange prices of the past, asked for at once; a simulated market knows all."""
    from oracle.errors import SourceError
    from oracle.logs import get_logger
    from oracle.sources.quotes import MempoolQuotes

    if not isinstance(sources.quotes, MempoolQuotes):
        return None
    try:
        return sources.quotes.history()
    except SourceError as error:
        get_logger(__name__).warning("there is no history of exchange prices", reason=str(error))
        return None


def _block_files(
    settings: Settings, is_lasting: bool, behind: Sequence[BlockSource]
) -> BlockSource:
    """Return the node's block files, which follow the chain of a source behind them: files alone do
    not know which branch a node found invalid."""
    from oracle.sources.blkfiles import BlkFilesSource

    index_path = settings.duckdb_path.with_suffix(".blkindex")
    is_kept = is_lasting or index_path.parent.is_dir()
    nodes = [source for source in behind if source.name == "bitcoin-core"] or [*behind]
    return BlkFilesSource(
        settings.bitcoin_datadir or Path(),
        index_path if is_kept else None,
        nodes[0] if nodes else None,
    )


def _block_source(name: str, settings: Settings, is_patient: bool) -> BlockSource:
    """Return one source of blocks by its name in ORACLE_SOURCES."""
    route = route_of(settings)
    if name == "core":
        from oracle.sources.core import CoreSource

        password = settings.bitcoin_rpc_password
        return CoreSource(
            settings.bitcoin_rpc_url,
            user=settings.bitcoin_rpc_user,
            password=password.get_secret_value() if password else None,
            datadir=settings.bitcoin_datadir,
            retry=_retry(settings, settings.oracle_rpc_retry_delays_seconds, is_patient),
            route=route,
        )
    from oracle.sources.esplora import EsploraSource

    retry = _retry(settings, settings.oracle_mempool_retry_delays_seconds, is_patient)
    if name == "electrs":
        return EsploraSource(settings.electrs_url or "", retry=retry, name=name, route=route)
    return EsploraSource(settings.mempool_api_url or "", retry=retry, route=route)


def _retry(settings: Settings, delays_seconds: tuple[float, ...], is_patient: bool) -> RetryPolicy:
    from oracle.sources.http import RetryPolicy

    return RetryPolicy(delays_seconds if is_patient else (), settings.oracle_source_timeout_seconds)


def unasked_sources(settings: Settings) -> frozenset[str]:
    """Return the names of sources that came along with BITCOIN_DATADIR and that nobody asked for.

    A node's block files are such an extra beside its RPC: they may not be ours to read.
    """
    from oracle.sources import BLOCK_FILES

    is_asked = settings.origins.get("ORACLE_SOURCES") is not None
    is_alone = settings.oracle_sources == ("blkfiles",)
    return frozenset() if is_asked or is_alone else frozenset({BLOCK_FILES})


def route_of(settings: Settings) -> Route:
    """Return how servers outside are reached."""
    from oracle.address import PROXY_SCHEMES, parse_address
    from oracle.web import Route

    proxy = settings.oracle_proxy
    return Route(
        parse_address(proxy.get_secret_value(), PROXY_SCHEMES) if proxy else None,
        settings.oracle_ca_file,
    )


def limits_of(settings: Settings) -> Limits:
    """Return the thresholds of the settings."""
    return Limits(
        confidence_threshold=settings.utxoracle_confidence_threshold,
        min_price_usd=settings.utxoracle_min_price_usd,
        max_price_usd=settings.utxoracle_max_price_usd,
        divergence_threshold_percent=settings.oracle_divergence_threshold_percent,
        quote_max_age_seconds=settings.oracle_quote_max_age_seconds,
        quote_min_usd=settings.oracle_quote_min_usd,
        quote_max_usd=settings.oracle_quote_max_usd,
        quote_max_factor=settings.oracle_quote_max_factor,
    )


def calculator_of(settings: Settings) -> PriceCalculator:
    """Return the calculator that ORACLE_CALCULATOR names; ours knows the limits."""
    from oracle.calculator import UTXOracleCalculator, load_calculator

    calculator = load_calculator(settings.oracle_calculator)
    if isinstance(calculator, UTXOracleCalculator):
        calculator.limits = limits_of(settings)
    return calculator


def tick_rules_of(settings: Settings, sources: Sources) -> TickRules:
    """Return what a tick needs of the settings; a simulated chain is read from its start."""
    from oracle.plan import DAY_SECONDS
    from oracle.tick import TickRules

    return TickRules(
        limits=limits_of(settings),
        first_run_blocks=sources.first_run_blocks,
        max_catch_up_seconds=settings.oracle_max_catch_up_days * DAY_SECONDS,
        live_seconds=LIVE_INTERVALS * 60 * settings.analysis_interval_minutes,
    )
