"""The whole way of a backfill: what is missing, chunk after chunk on all cores, merged newest
first."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from oracle.backfill.scratch import Piece
from oracle.backfill.standing import Standing, forget_standing, keep_standing
from oracle.backfill.stretches import CHUNK_BLOCKS, Chunk, chunks_of, missing, size_for
from oracle.backfill.workers import Hands, Progress, Task, pieces
from oracle.chain import first_height
from oracle.config import Settings
from oracle.core.params import PARAMETERS
from oracle.errors import BlockNotFoundError, NoDataError, NotFinalError, RequestError, StoreError
from oracle.fetch import header_times
from oracle.lock import locked, run_in_turn
from oracle.plan import lowest_block
from oracle.record.history import add_history, held
from oracle.record.store import Store
from oracle.sources import BlockSource
from oracle.sources.networks import require_network
from oracle.wiring import Clock, open_history, open_sources


class Wanted(NamedTuple):
    """Which days: from one on, to another or to the newest that is settled."""

    first: date
    last: date | None = None


class Filled(NamedTuple):
    """What a backfill added; `lowest` is the lowest block that the source still has, where it has
    not all that was wanted."""

    blocks: int
    prices: int
    days: int
    lowest: int | None = None


class Backfill:
    """One backfill of a record.

    Args:
        settings: name everything.
        clock: Unix seconds.
        hands: who reads and prices.
        progress: is kept up to date.
        chunk_blocks: how many blocks are recorded together.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        hands: Hands,
        progress: Progress,
        chunk_blocks: int = CHUNK_BLOCKS,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._hands = hands
        self._progress = progress
        self._chunk_blocks = chunk_blocks
        self._filled = Filled(0, 0, 0)
        self._wanted = 0  # blocks to add

    def run(self, wanted: Wanted) -> Filled:
        """Add what the record lacks of some days.

        Raises:
            SourceError, ParseError: the source failed; what was merged until then stays.
            OracleError: those who read were killed, or cannot be reached any more.
            StoreError: the record could not be written.
            RequestError: a day is none that can be asked for.
            NoDataError: there is no record yet, or the days are not settled yet.
        """
        if not self._settings.duckdb_path.exists():
            raise NoDataError("there is no record yet; make one with: oracle build")
        with locked(self._scratch.with_suffix(".duckdb")), self._scratch_folder():
            return self._fill(wanted)

    def _fill(self, wanted: Wanted) -> Filled:
        sources = open_sources(self._settings, self._clock)
        with closing(sources):
            source = sources.blocks
            network = require_network(source.network(), self._settings.oracle_network, source.name)
            chunks = self._chunks(source, network, wanted)
            self._progress.total = sum(chunk.to_read for chunk in chunks)
            self._keep_standing()
            quotes = open_history(sources)
            task = Task(self._settings, network, int(self._clock()), quotes, self._scratch)
            while chunks:
                chunks = self._read(chunks, task, source)
        forget_standing(self._settings.duckdb_path)
        return self._filled

    def _keep_standing(self) -> None:
        """Note how far it is; one that is stopped leaves the note."""
        done = min(self._filled.blocks, self._wanted)
        day = self._progress.day.get("day")
        standing = Standing(done, self._wanted, day, int(self._clock()))
        keep_standing(self._settings.duckdb_path, standing)

    @property
    def _scratch(self) -> Path:
        """Where chunks are worked out: beside the database, for /tmp may be memory."""
        database = self._settings.duckdb_path
        return database.with_name(f"{database.stem}-backfill")

    @contextmanager
    def _scratch_folder(self) -> Iterator[None]:
        """Have an empty folder for scratch; one that was killed has left its own."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        try:
            self._scratch.mkdir(mode=0o700)
        except OSError as error:
            raise StoreError(f"{self._scratch} cannot be made ({error.strerror})") from error
        try:
            yield
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _read(self, chunks: list[Chunk], task: Task, source: BlockSource) -> list[Chunk]:
        """Read and merge chunks; return those that are left above what the source has no more."""
        for place, (chunk, ready) in enumerate(pieces(chunks, task, self._hands, self._progress)):
            try:
                piece = ready()
            except BlockNotFoundError:
                # the block above a chunk, or nothing, is what is there for certain
                lowest = lowest_block(source, chunk.warm_up - 1, chunk.last + 1)
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
        with run_in_turn(self._settings):
            with Store(self._settings.duckdb_path, network=network):
                pass  # its tables are up to date, and of this network
            there = held(self._settings.duckdb_path)
        stretches = list(missing(first, last, there.blocks))
        self._wanted = sum(stretch.last + 1 - stretch.first for stretch in stretches)
        size = min(self._chunk_blocks, size_for(stretches, self._hands.jobs))
        return list(chunks_of(stretches, there.blocks, there.priced, settled, size))

    def _merge(self, piece: Piece) -> None:
        with run_in_turn(self._settings):
            added = add_history(self._settings.duckdb_path, piece.tables)
        before = self._filled
        self._filled = before._replace(
            blocks=before.blocks + added["blocks"],
            prices=before.prices + added["prices"],
            days=before.days + added["days"],
        )
        self._progress.day = _day_of(piece) or self._progress.day
        self._keep_standing()


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


def _day_of(piece: Piece) -> dict[str, Any]:
    """Return the oldest day of a piece and its price: where a backfill has got to."""
    days = piece.tables["days"].select(["date", "price_usd"]).to_pylist()
    if days:
        usd = days[0]["price_usd"]
        return {"day": str(days[0]["date"]), "price_usd": round(usd) if usd else None}
    return {}
