"""A site while a first run still reads: at once, so that a visitor sees what is happening, and when
the first window is priced."""

from __future__ import annotations

from collections.abc import Callable

from oracle.fetch import Progress
from oracle.logs import get_logger
from oracle.tick import CHUNK_BLOCKS

log = get_logger(__name__)


class EarlySite:
    """Progress of a run that publishes the site before the run is done.

    Args:
        publish: builds the site from what is recorded until then; it may raise anything.
        progress: is told blocks done and blocks in all, as this is.
    """

    def __init__(self, publish: Callable[[], str], progress: Progress) -> None:
        self._publish = publish
        self._progress = progress
        # Blocks are recorded a chunk at a time: the first is when the next one has begun.
        self._moments = [0, CHUNK_BLOCKS + 1]

    def __call__(self, done: int, total: int) -> None:
        """Take note of blocks done, and publish at each of the moments."""
        self._progress(done, total)
        if total > CHUNK_BLOCKS and self._moments and done >= self._moments[0]:
            self._moments.pop(0)
            self._try(done, total)

    def _try(self, done: int, total: int) -> None:
        try:
            release = self._publish()
        except Exception as error:  # the run's own build will tell, if it goes on
            log.warning("the site could not be published yet", exc_info=error)
            self._moments.clear()
        else:
            log.info("published", release=release, blocks_done=done, blocks_in_all=total)
