"""Those who read and price chunks: how many, what they are given, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from threadpoolctl import threadpool_limits

from oracle.backfill.scratch import Piece, Terms, UpTo, read_chunk
from oracle.backfill.stretches import Chunk
from oracle.config import Settings
from oracle.errors import OracleError
from oracle.faster import read_faster
from oracle.sources import QuoteSource
from oracle.wiring import calculator_of, open_sources, tick_rules_of

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

WAITING_CHUNKS = 2  # that are read while others are merged


@dataclass
class Progress:
    """How far a backfill is; workers count in shared numbers."""

    blocks: Synchronized[int]
    read_bytes: Synchronized[int]
    total: int = 0
    day: dict[str, Any] = field(default_factory=dict)  # the one it is at, and its price

    def reading(self, size_bytes: int) -> None:
        """Count a block."""
        self.have_read(1, size_bytes)

    def have_read(self, blocks: int, size_bytes: int) -> None:
        """Count blocks and their bytes."""
        with self.blocks.get_lock():
            self.blocks.value += blocks
            self.read_bytes.value += size_bytes


def new_progress() -> Progress:
    """Return progress that workers can share."""
    context = multiprocessing.get_context("spawn")
    return Progress(context.Value("q", 0), context.Value("q", 0))


@dataclass
class Task:
    """What every chunk needs; goes to the workers once."""

    settings: Settings
    network: str
    now_unix: int
    quotes: QuoteSource | None
    scratch: Path

    def at(self, scratch: Path) -> Task:
        """Return the same with another folder for what is worked out."""
        return replace(self, scratch=scratch)

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
                self.scratch,
            )
            return read_chunk(chunk, UpTo(sources.blocks, chunk.last, reading), quotes, terms)


Ready = Callable[[], Piece]  # waits for a piece
Begin = Callable[[Chunk], Ready]


class Hands(Protocol):
    """Those who read and price chunks, `jobs` of them at a time."""

    @property
    def jobs(self) -> int:
        """How many chunks are worked on at a time."""

    def at_work(self, task: Task, progress: Progress) -> AbstractContextManager[Begin]:
        """Have them at work on a task; what is not done when this ends is given up."""


@dataclass(frozen=True)
class ThisProcess:
    """No others: a chunk is read when its piece is asked for."""

    jobs: int = 1

    @contextmanager
    def at_work(self, task: Task, progress: Progress) -> Iterator[Begin]:
        """Work here."""
        read_faster()
        yield lambda chunk: partial(task.read, chunk, progress.reading)


@dataclass(frozen=True)
class Processes:
    """Processes of this machine."""

    jobs: int

    @contextmanager
    def at_work(self, task: Task, progress: Progress) -> Iterator[Begin]:
        """Begin them, and end them.

        Raises:
            OracleError: one was killed; when a piece is waited for.
        """
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.jobs, context, _begin, (task, progress))
        is_done = False
        try:
            yield lambda chunk: partial(_result, pool.submit(_work, chunk))
            is_done = True
        finally:
            pool.shutdown(wait=is_done, cancel_futures=True)
            for worker in multiprocessing.active_children():  # nobody waits for what they are at
                worker.terminate()


def _result(future: Future[Piece]) -> Piece:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise OracleError(
            "a process of the backfill was killed: was memory short? fewer need less "
            "(--jobs 1); what is merged stays, and the next backfill goes on there"
        ) from error


_given: list[tuple[Task, Progress]] = []  # in a worker: what it was begun with


def _begin(task: Task, progress: Progress) -> None:
    """Begin a worker: Ctrl-C is for the one who began it, and it ends when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)  # each process has one core to itself
    read_faster()  # here and not while a chunk is read: numba is loaded by the main thread
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _given.append((task, progress))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(chunk: Chunk) -> Piece:
    task, progress = _given[-1]
    return task.read(chunk, progress.reading)


def pieces(
    chunks: Sequence[Chunk], task: Task, hands: Hands, progress: Progress
) -> Iterator[tuple[Chunk, Ready]]:
    """Yield each chunk with what waits for its piece; a few are worked on ahead."""
    left = iter(chunks)
    waiting: deque[tuple[Chunk, Ready]] = deque()
    with hands.at_work(task, progress) as begin:
        while True:
            more = islice(left, hands.jobs + WAITING_CHUNKS - len(waiting))
            waiting += [(chunk, begin(chunk)) for chunk in more]
            if not waiting:
                return
            yield waiting.popleft()
