"""The processes that read and price chunks: how many, what they are given, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from oracle.backfill.scratch import Piece, Terms, UpTo, read_chunk
from oracle.backfill.stretches import Chunk
from oracle.config import Settings
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
        with self.blocks.get_lock():
            self.blocks.value += 1
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


_given: list[tuple[Task, Progress]] = []  # in a worker: what it was begun with


def _begin(task: Task, progress: Progress) -> None:
    """Begin a worker: Ctrl-C is for the one who began it, and it ends when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)  # each process has one core to itself
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
    chunks: Sequence[Chunk], task: Task, jobs: int, progress: Progress
) -> Iterator[tuple[Chunk, Callable[[], Piece]]]:
    """Yield each chunk with what waits for its piece; a few are worked on ahead."""
    if jobs == 1:
        for chunk in chunks:
            yield chunk, partial(task.read, chunk, progress.reading)
        return
    context = multiprocessing.get_context("spawn")
    shared = (task, progress)
    pool = ProcessPoolExecutor(jobs, context, _begin, shared)
    is_done = False
    try:
        left = iter(chunks)
        waiting: list[tuple[Chunk, Future[Piece]]] = []
        while True:
            more = islice(left, jobs + WAITING_CHUNKS - len(waiting))
            waiting += [(chunk, pool.submit(_work, chunk)) for chunk in more]
            if not waiting:
                is_done = True
                return
            chunk, future = waiting.pop(0)
            yield chunk, future.result
    finally:
        pool.shutdown(wait=is_done, cancel_futures=True)
        for worker in multiprocessing.active_children():  # nobody waits for what they are at
            worker.terminate()
