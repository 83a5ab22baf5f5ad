"""Chunks on other machines: the workers of a Dask cluster read and price them, this process merges.

Workers open sources of their own from the same settings: a node that they reach over the network,
or block files under the same path. What they need besides is this package, in the same version.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from threadpoolctl import threadpool_limits

from oracle import __version__
from oracle.backfill.scratch import Piece
from oracle.backfill.stretches import Chunk
from oracle.backfill.workers import Begin, Progress, Task
from oracle.errors import OracleError, RequestError

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 10
LOOK_SECONDS = 30.0  # between looks at whether there is anybody left to wait for
GOES_ON = "what is merged stays, and the next backfill goes on there"
_alone = threading.Lock()  # in a worker: a chunk fills a core, and threads share one


class Cluster:
    """The workers of a Dask cluster; one that is lost has its chunks read by the others."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address
        self.jobs = len(client.nthreads())

    @contextmanager
    def at_work(self, task: Task, progress: Progress) -> Iterator[Begin]:
        """Give them chunks; those not done when this ends are cancelled.

        Raises:
            OracleError: nobody is left, or a worker has not this package in this version; when a
                piece is waited for.
        """
        begun: list[Future[_Read]] = []
        packed = pickle.dumps(task)

        def begin(chunk: Chunk) -> Callable[[], Piece]:
            begun.append(self._client.submit(_read, __version__, packed, chunk, pure=False))
            return partial(self._result, begun[-1], progress)

        try:
            yield begin
        finally:
            self._client.cancel(begun)

    def _result(self, future: Future[_Read], progress: Progress) -> Piece:
        from distributed import TimeoutError as NotYetError
        from distributed.scheduler import KilledWorker

        had_workers = True
        while True:
            try:
                read = future.result(timeout=LOOK_SECONDS)
                break
            except NotYetError:
                has_workers = self._client.status == "running" and bool(self._client.nthreads())
                if not (has_workers or had_workers):
                    raise OracleError(
                        f"the cluster at {self._address} has no workers any more; {GOES_ON}"
                    ) from None
                had_workers = has_workers
            except CancelledError:
                raise OracleError(f"the scheduler at {self._address} is gone; {GOES_ON}") from None
            except KilledWorker:
                raise OracleError(
                    f"workers of the cluster at {self._address} were killed again and again at "
                    f"one chunk: is their memory short? {GOES_ON}"
                ) from None
            except ImportError as error:
                raise OracleError(
                    f"a worker of the cluster at {self._address} lacks a package ({error}): "
                    "install on it what is installed here"
                ) from None
        progress.have_read(read.blocks, read.size_bytes)
        if isinstance(read.found, OracleError):
            raise read.found
        return read.found


@contextmanager
def cluster(address: str) -> Iterator[Cluster]:
    """Be connected to a scheduler.

    Args:
        address: of the scheduler, tcp://host:port or tls://host:port.

    Raises:
        RequestError: the package for it is not installed, nothing answers there, or there are no
            workers.
    """
    try:
        from distributed import Client
        from distributed import TimeoutError as NotYetError
    except ImportError:
        raise RequestError(
            "--dask needs a package that is not installed: pip install 'onchain-oracle[dask]'"
        ) from None
    for name in ("distributed", "distributed.client"):  # what befalls it is told in our words
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _require_an_answer(address)
    with Client(address, timeout=CONNECT_SECONDS, set_as_default=False) as client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except NotYetError:
            raise RequestError(
                f"the Dask scheduler at {address} has no workers: begin one with "
                f"dask worker {address} --nthreads 1"
            ) from None
        yield Cluster(client, address)


def _require_an_answer(address: str) -> None:
    """Connect once and leave: a client that could not says so again when it is cleared away."""
    from distributed.comm.core import connect

    async def ask() -> None:
        await (await connect(address, timeout=CONNECT_SECONDS)).close()

    try:
        with ThreadPoolExecutor(1) as beside:  # where a notebook has a loop of its own, too
            beside.submit(asyncio.run, ask()).result()
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(
            f"no Dask scheduler answers at {address}, to be named as tcp://host:port: {error}"
        ) from None


class _Read(NamedTuple):
    """What a worker hands back; an error raised there would be told with its traceback."""

    found: Piece | OracleError
    blocks: int
    size_bytes: int


def _read(version: str, packed: bytes, chunk: Chunk) -> _Read:
    """Read a chunk, in a worker: in its own folder, which Dask clears away. A task of another
    version is not unpacked."""
    from distributed import get_worker

    if version != __version__:
        raise OracleError(
            f"a worker of the cluster has version {__version__}, and here it is {version}: "
            "install the same on both"
        )
    task: Task = pickle.loads(packed)  # noqa: S301 - who sends it sends the code to run as well
    sizes: list[int] = []
    with _alone, threadpool_limits(1):
        found = _found(task.at(Path(get_worker().local_directory)), chunk, sizes)
    return _Read(found, len(sizes), sum(sizes))


def _found(task: Task, chunk: Chunk, sizes: list[int]) -> Piece | OracleError:
    try:
        return task.read(chunk, sizes.append)
    except OracleError as error:
        return error
