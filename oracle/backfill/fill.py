"""The whole way of a backfill: what is missing, chunk after chunk on all cores, merged newest
first."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from oracle.backfill.scratch import Piece, Terms, UpTo, read_chunk
from oracle.backfill.stretches import CHUNK_BLOCKS, Chunk, chunks_of, missing
from oracle.chain import first_height
from oracle.config import Settings
from oracle.core.params import PARAMETERS
from oracle.errors import BlockNotFoundError, BusyError, NoDataError, NotFinalError, RequestError
from oracle.fetch import header_times
from oracle.lock import only_run
from oracle.logs import get_logger
from oracle.record.history import Held, add_history, held
from oracle.record.store import Store
from oracle.sources import BlockSource, QuoteSource
from oracle.sources.networks import require_network
from oracle.wiring import Clock, calculator_of, open_history, open_sources, tick_rules_of

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

LOCK_TRIES = 1200
LOCK_WAIT_SECONDS = 0.5  # ten minutes in all: a tick that takes longer catches up itself
WAITING_CHUNKS = 2  # that are read while others are merged, for each worker
log = get_logger(__name__)


class Wanted(NamedTuple):
    """Which days: from one on, to another or to the newest that is settled."""

    first: date
    last: date | None = None


@dataclass
class Progress:
    """How far a backfill is; workers count in shared numbers."""

    blocks: Synchronized[int]
    read_bytes: Synchronized[int]
    total: int = 0
    newest: dict[str, Any] = field(default_factory=dict)  # day and price of what was merged last

    def reading(self, size_bytes: int) -> None:
        """Count a block."""
        with self.blocks.get_lock():
            self.blocks.value += 1
            self.read_bytes.value += size_bytes


class Filled(NamedTuple):
    """What a backfill added; `lowest` is the lowest block that the source still has, where it has
    not all that was wanted."""

    blocks: int
    prices: int
    days: int
    lowest: int | None = None


def new_progress() -> Progress:
    """Return progress that workers can share."""
    context = multiprocessing.get_context("spawn")
    return Progress(context.Value("q", 0), context.Value("q", 0))


class Backfill:
    """One backfill of a record.

    Args:
        settings: name everything.
        clock: Unix seconds.
        jobs: how many processes read and price; with one it is this one.
        progress: is kept up to date.
        chunk_blocks: how many blocks are recorded together.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        jobs: int,
        progress: Progress,
        chunk_blocks: int = CHUNK_BLOCKS,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._jobs = jobs
        self._progress = progress
        self._chunk_blocks = chunk_blocks
        self._filled = Filled(0, 0, 0)

    def run(self, wanted: Wanted) -> Filled:
        """Add what the record lacks of some days.

        Raises:
            SourceError, ParseError: the source failed; what was merged until then stays.
            StoreError: the record could not be written.
            RequestError: a day is none that can be asked for.
            NoDataError: there is no record yet, or the days are not settled yet.
        """
        if not self._settings.duckdb_path.exists():
            raise NoDataError("there is no record yet; make one with: oracle build")
        sources = open_sources(self._settings, self._clock)
        with closing(sources):
            source = sources.blocks
            network = require_network(source.network(), self._settings.oracle_network, source.name)
            chunks = self._chunks(source, network, wanted)
            self._progress.total = sum(chunk.to_read for chunk in chunks)
            quotes = open_history(self._settings, sources)
            task = _Task(self._settings, network, int(self._clock()), quotes)
            while chunks:
                chunks = self._read(chunks, task, source)
        return self._filled

    def _read(self, chunks: list[Chunk], task: _Task, source: BlockSource) -> list[Chunk]:
        """Read and merge chunks; return those that are left above what the source has no more."""
        for place, (chunk, ready) in enumerate(self._pieces(chunks, task)):
            try:
                piece = ready()
            except BlockNotFoundError:
                lowest = _lowest(source, chunk)
                if lowest <= chunk.lowest:  # a hole, and not the end
                    raise
                if lowest > chunks[-1].first:  # something of what was wanted is not to be had
                    self._filled = self._filled._replace(lowest=lowest)
                left = [one for one in chunks[place:] if one.last >= lowest]
                return [Chunk(max(one.first, lowest), one.last, lowest) for one in left]
            self._merge(piece)
        return []

    def _chunks(self, source: BlockSource, network: str, wanted: Wanted) -> list[Chunk]:
        settled = source.tip().height - PARAMETERS.final_depth_blocks
        first, last = _heights(source, wanted, settled)
        with self._locked():
            with Store(self._settings.duckdb_path, network=network):
                pass  # its tables are up to date, and of this network
            there: Held = held(self._settings.duckdb_path)
        stretches = missing(first, last, there.blocks)
        return list(chunks_of(stretches, there.blocks, there.priced, settled, self._chunk_blocks))

    def _pieces(
        self, chunks: Sequence[Chunk], task: _Task
    ) -> Iterator[tuple[Chunk, Callable[[], Piece]]]:
        """Yield each chunk with what waits for its piece; a few are worked on ahead."""
        if self._jobs == 1:
            for chunk in chunks:
                yield chunk, partial(task.read, chunk, self._progress.reading)
            return
        context = multiprocessing.get_context("spawn")
        shared = (task, self._progress)
        pool = ProcessPoolExecutor(self._jobs, context, _begin, shared)
        try:
            left = iter(chunks)
            waiting: list[tuple[Chunk, Future[Piece]]] = []
            while True:
                more = islice(left, self._jobs + WAITING_CHUNKS - len(waiting))
                waiting += [(chunk, pool.submit(_work, chunk)) for chunk in more]
                if not waiting:
                    return
                chunk, future = waiting.pop(0)
                yield chunk, future.result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _merge(self, piece: Piece) -> None:
        with self._locked():
            added = add_history(self._settings.duckdb_path, piece.tables)
        before = self._filled
        self._filled = before._replace(
            blocks=before.blocks + added["blocks"],
            prices=before.prices + added["prices"],
            days=before.days + added["days"],
        )
        self._progress.newest = _newest_of(piece)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock, waiting for a tick that has it."""
        for tries_left in reversed(range(LOCK_TRIES)):
            try:
                lock = only_run(self._settings)
                lock.__enter__()
                break
            except BusyError:
                if not tries_left:
                    raise
                time.sleep(LOCK_WAIT_SECONDS)
        try:
            yield
        finally:
            lock.__exit__(None, None, None)


@dataclass
class _Task:
    """What every chunk needs; goes to the workers once."""

    settings: Settings
    network: str
    now_unix: int
    quotes: QuoteSource | None

    def read(self, chunk: Chunk, reading: Callable[[int], None]) -> Piece:
        """Read a chunk from sources of its own."""
        sources = open_sources(self.settings, lambda: self.now_unix)
        with closing(sources):
            quotes = sources.quotes if self.settings.is_simulated else self.quotes
            terms = Terms(
                calculator_of(self.settings),
                tick_rules_of(self.settings, sources),
                self.network,
                self.now_unix,
            )
            return read_chunk(chunk, UpTo(sources.blocks, chunk.last, reading), quotes, terms)


_given: list[tuple[_Task, Progress]] = []  # in a worker: what it was begun with


def _begin(task: _Task, progress: Progress) -> None:
    _given.append((task, progress))


def _work(chunk: Chunk) -> Piece:
    task, progress = _given[-1]
    return task.read(chunk, progress.reading)


def _heights(source: BlockSource, wanted: Wanted, settled: int) -> tuple[int, int]:
    """Return the heights of the wanted days up to the newest settled block: one so deep that no
    ordinary reorganisation reaches it."""

    def times(low: int, high: int) -> list[int]:
        return header_times(source, low, high)

    if wanted.last and wanted.last < wanted.first:
        raise RequestError(f"{wanted.last} is before {wanted.first}: name the earlier day first")
    first = first_height(wanted.first, settled, times)
    if wanted.last is None:
        return first, settled
    try:
        return first, first_height(wanted.last + timedelta(days=1), settled, times) - 1
    except NotFinalError:
        return first, settled


def _lowest(source: BlockSource, chunk: Chunk) -> int:
    """Return the lowest block of a chunk that can be had; one above it where not even its newest
    can."""

    def has(height: int) -> bool:
        try:
            (block_hash,) = source.hashes(height, height)
            source.block(block_hash)
        except BlockNotFoundError:
            return False
        return True

    low, high = chunk.warm_up - 1, chunk.last + 1  # the newest is what is above, or nothing
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if has(middle) else (middle, high)
    return high


def _newest_of(piece: Piece) -> dict[str, Any]:
    """Return day and price of the newest day of a piece, or of its newest block."""
    days = piece.tables["days"].select(["date", "price_usd"]).to_pylist()
    if days:
        usd = days[0]["price_usd"]
        return {"day": str(days[0]["date"]), "price_usd": round(usd) if usd else None}
    return {}
