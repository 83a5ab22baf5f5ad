"""How fast nginx serves /api/latest.json beside an empty file, with the shipped site file.

    python benchmarks/nginx.py [--site site] [--seconds 3] [--rounds 3] [--json]

Loopback only, keep-alive, a browser's Accept-Encoding, one nginx worker. It stops by itself after
about 3 * rounds * seconds. Two figures. At a steady 1,000 requests a second, from a small reader of
our own (wrk cannot hold a rate): latency from the moment a request was due, so that a late answer
also counts against those waiting behind it. As fast as it goes, from wrk: requests a second,
latest.json and the empty file in turn, as a ratio. The reader needs a core of its own: on a loaded
machine its figures are those of the load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.deploy.running_nginx import NGINX, Server, point_at, running

RATE = 1000
CONNECTIONS = 8


def copy_of_the_file(site: Path, into: Path) -> Path:
    """Make a site of two files: the built latest.json with its compressed twin, and an empty
    one."""
    source = site / "public" / "api"
    if not (source / "latest.json").is_file():
        sys.exit(
            f"{source}/latest.json is not there: build the site first (make site), or name one "
            f"with --site"
        )
    api = into / "releases" / "one" / "api"
    api.mkdir(parents=True)
    for name in ("latest.json", "latest.json.gz"):
        if (source / name).is_file():
            shutil.copy2(source / name, api / name)
    for name in ("empty.json", "empty.json.gz"):  # with a twin too: the same way through nginx
        (api / name).touch()
    point_at(into, "one")
    return api


def percentile(values: list[float], percent: float) -> float:
    """Return the value that this share of the sorted values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def one_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> None:
    """Send a request on an open connection and read the whole answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    await reader.readexactly(int(length[1]) if length else 0)


async def paced(server: Server, path: str, seconds: float) -> tuple[list[float], float]:
    """Ask at a steady rate; return each latency in seconds since it was due, and the rate
    reached."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    latencies: list[float] = []
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.push_async_callback(writer.wait_closed)
            stack.callback(writer.close)
            free.put_nowait((reader, writer))

        async def ask(due: float) -> None:
            reader, writer = await free.get()
            await one_request(reader, writer, request)
            latencies.append(loop.time() - due)
            free.put_nowait((reader, writer))

        start = loop.time() + 0.05
        tasks = []
        for number in range(int(RATE * seconds)):
            due = start + number / RATE
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.append(asyncio.create_task(ask(due)))
        await asyncio.gather(*tasks)
        took = loop.time() - start
    return latencies, len(latencies) / took


def wrk(server: Server, path: str, seconds: int) -> tuple[float, float]:
    """Ask as fast as it goes; return requests a second and the latency's 99th percentile in ms."""
    words = [
        "wrk",
        "--latency",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "-H",
        "Accept-Encoding: gzip",
    ]
    said = subprocess.run(
        [*words, server.url + path], check=True, capture_output=True, text=True
    ).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    number, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)\b", said)[0]
    milliseconds = float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0]), milliseconds


def measure(site: Path, seconds: int, rounds: int) -> dict[str, object]:
    """Run all measurements on one nginx and return the figures by name."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "site")
        api = copy_of_the_file(site, copy)
        with running(Path(folder, "prefix"), copy, workers=1) as server:
            wrk(server, "/api/latest.json", 1)
            steady = [
                asyncio.run(paced(server, "/api/latest.json", seconds)) for _ in range(rounds)
            ]
            latest, empty = zip(
                *(
                    (
                        wrk(server, "/api/latest.json", seconds),
                        wrk(server, "/api/empty.json", seconds),
                    )
                    for _ in range(rounds)
                ),
                strict=True,
            )
        p99s = [percentile(latencies, 99) * 1000 for latencies, _ in steady]
        latest_rate, empty_rate = (
            statistics.median(rate for rate, _ in runs) for runs in (latest, empty)
        )
        return {
            "latest_json_bytes": (api / "latest.json").stat().st_size,
            "steady_rate_per_second": round(statistics.median(rate for _, rate in steady)),
            "steady_p50_ms": round(
                statistics.median(percentile(times, 50) * 1000 for times, _ in steady), 3
            ),
            "steady_p99_ms": round(statistics.median(p99s), 3),
            "steady_p99_ms_best": round(min(p99s), 3),
            "wrk_latest_per_second": round(latest_rate),
            "wrk_latest_p99_ms": round(statistics.median(p99 for _, p99 in latest), 3),
            "wrk_empty_per_second": round(empty_rate),
            "latest_to_empty_ratio": round(latest_rate / empty_rate, 3),
            "load_average": round(os.getloadavg()[0], 1),
            "cores": os.cpu_count(),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--site", type=Path, default=Path("site"), help="folder with `public`, the current release"
    )
    parser.add_argument("--seconds", type=int, default=3, choices=range(1, 61), metavar="1..60")
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 11), metavar="1..10")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if NGINX is None or shutil.which("wrk") is None:
        sys.exit("this needs nginx and wrk: apt-get install nginx-light wrk")
    figures = measure(given.site, given.seconds, given.rounds)
    if given.json:
        print(json.dumps(figures))
        return
    print(*(f"{name:24} {value}" for name, value in figures.items()), sep="\n")


if __name__ == "__main__":
    main()
