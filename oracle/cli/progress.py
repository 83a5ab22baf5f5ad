"""How far something is that takes its time: a bar on a terminal, else a line of the log now and
then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from oracle.fetch import Progress

LINE_EVERY_SECONDS = 10
Detail = Callable[[], Mapping[str, object]]


@contextmanager
def show_progress(
    what: str, things: str = "blocks", detail: Detail = lambda: {}
) -> Iterator[Progress]:
    """Show a bar when standard error is a terminal, and log a line each ten seconds when not.

    `detail` gives what else to say of the moment.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield Lines(what, things, detail=detail)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            more = [str(value) for value in detail().values()]
            speed = [f"{task.speed:.1f} {things}/s"] if task.speed else []
            return Text("  ".join([*speed, *more]))

    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn()
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Lines:
    """Progress that is logged: what is done, how fast, and how long the rest will take."""

    def __init__(
        self,
        what: str,
        things: str,
        clock: Callable[[], float] = time.monotonic,
        detail: Detail = lambda: {},
    ) -> None:
        self._what = what
        self._things = things
        self._clock = clock
        self._detail = detail
        self._first: tuple[float, int] | None = None  # when it was first told, and of how many
        self._told = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Take note of how many are done, of how many."""
        now = self._clock()
        if self._first is None:
            self._first = (now, done)
            self._told = now
        if now - self._told < LINE_EVERY_SECONDS:
            return
        self._told = now
        seconds = now - self._first[0]
        speed = (done - self._first[1]) / seconds
        from oracle.logs import get_logger  # what is done sooner does without

        get_logger("oracle.cli").info(
            self._what,
            **{f"{self._things}_done": done, f"{self._things}_in_all": total},
            **{f"{self._things}_a_second": round(speed, 2)},
            seconds_left=round((total - done) / speed) if speed else None,
            **self._detail(),
        )
