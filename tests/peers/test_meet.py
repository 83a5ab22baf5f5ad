"""Publishers who read the same node, beside each other, over HTTP."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from oracle.peers import ask
from oracle.peers.ask import ask_peer, ask_peers
from oracle.web import Route
from tests.helpers.fakes import FakeChain, FakeElectrs
from tests.helpers.home import Home
from tests.helpers.ticking import FIRST, small_chain

TIP = FIRST + 150


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(handler: Any) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def node() -> Iterator[FakeElectrs]:
    blocks = [small_chain().block(height) for height in range(FIRST, TIP + 1)]
    with FakeElectrs(FakeChain(blocks, FIRST)) as server:
        yield server


@pytest.fixture(scope="module")
def made(node: FakeElectrs, tmp_path_factory: pytest.TempPathFactory) -> Home:
    settings = {
        "ELECTRS_URL": node.url,
        "ORACLE_FIRST_RUN_BLOCKS": str(TIP - FIRST + 1),
        "ORACLE_MEMPOOL_RETRY_DELAYS_SECONDS": "0",
    }
    home = Home(tmp_path_factory.mktemp("made"), settings)
    assert home.oracle("build") == 0
    return home


@pytest.fixture
def other(made: Home, tmp_path: Path) -> Home:
    return made.copied_to(tmp_path / "other")


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    return made.copied_to(tmp_path / "home")


@pytest.fixture
def url(other: Home) -> Iterator[str]:
    with served(functools.partial(Quiet, directory=str(other.public))) as address:
        yield address


def api(home: Home, name: str) -> Any:
    return json.loads((home.public / f"api/{name}.json").read_bytes())


def codes(notices: list[dict[str, Any]]) -> set[str]:
    return {notice["code"] for notice in notices}


def meet(home: Home, *peers: str) -> list[dict[str, Any]]:
    home.settings = {**home.settings, "ORACLE_PEERS": ",".join(peers)}
    assert home.oracle("build") == 0
    return api(home, "peers")["peers"]


def test_two_who_read_the_same_node_agree_to_the_last_digit(home: Home, url: str) -> None:
    [peer] = meet(home, url)
    assert (peer["peer"], peer["state"], peer["problem"]) == (url, "agrees", None)
    assert (peer["height"], peer["blocks_behind"], peer["difference_percent"]) == (TIP, 0, 0.0)
    assert (api(home, "peers")["agreeing"], api(home, "peers")["compared"]) == (1, 1)
    assert "1 of 1 agree" in (home.public / "index.html").read_text()
    assert url in (home.public / "status/index.html").read_text()
    assert f'oracle_peer_agrees{{peer="{url}"}} 1.0' in (home.public / "metrics.txt").read_text()


def test_one_who_says_another_price_is_told_once_and_is_an_episode_until_it_ends(
    home: Home, other: Home, url: str
) -> None:
    with hook() as (webhook, kinds):
        home.settings = {**home.settings, "ALERT_WEBHOOK_URL": webhook}
        meet(home, url)
        right_usd = api(home, "latest")["window"]["price_usd"]
        other.execute(f"UPDATE prices SET window_usd = window_usd * 1.001 WHERE height = {TIP}")
        other.render_anew()
        [peer] = meet(home, url)
        [again] = meet(home, url)
        assert (peer["state"], again["state"]) == ("differs", "differs")
        assert again["since_unix"] == peer["since_unix"]
        assert peer["difference_percent"] == pytest.approx(0.1)
        [episode] = api(home, "episodes")["episodes"]
        assert (episode["kind"], episode["peer"], episode["is_ongoing"]) == (
            "peer_differs",
            url,
            True,
        )
        assert "peer_differs" in codes(api(home, "latest")["notices"])
        reasons = api(home, "status")["reasons"]
        assert "peer_differs" not in codes(reasons), "what others say is not about our health"
        assert "Another publisher differs" in (home.public / "feed.json").read_text()
        other.execute(f"UPDATE prices SET window_usd = {right_usd} WHERE height = {TIP}")
        other.render_anew()
        [peer] = meet(home, url)
        assert peer["state"] == "agrees"
        [episode] = api(home, "episodes")["episodes"]
        assert not episode["is_ongoing"]
        assert kinds == ["peer_differs_started", "peer_differs_ended"]


@contextmanager
def hook() -> Iterator[tuple[str, list[str]]]:
    kinds: list[str] = []

    class Hook(Quiet):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kinds.append(json.loads(body)["kind"])
            self.send_response(204)
            self.end_headers()

    with served(Hook) as address:
        yield address, kinds


def test_one_who_cannot_be_reached_keeps_the_state_it_had(home: Home, other: Home) -> None:
    with served(functools.partial(Quiet, directory=str(other.public))) as url:
        meet(home, url)
    [peer] = meet(home, url)
    assert (peer["state"], peer["problem"]) == (
        "agrees",
        "it cannot be reached: connection refused",
    )


def test_one_who_is_asked_no_more_is_shown_no_more(home: Home, url: str) -> None:
    meet(home, url)
    assert meet(home) == []


LIES: dict[str, bytes] = {
    "no JSON": b"<html>",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "no number": b'{"network": "main", "is_demo": false, "algorithm_version": "9.1+1", "tip": '
    b'{"height": 1, "hash": "' + b"0" * 64 + b'"}, "spot": {"price_usd": NaN}, "window": null}',
    "beyond all": b'{"network": "main", "is_demo": false, "algorithm_version": "9.1+1", "tip": '
    b'{"height": 1, "hash": "' + b"0" * 64 + b'"}, "spot": {"price_usd": 1e300}, "window": null}',
    "a height of 5,000 digits": b'{"tip": {"height": ' + b"9" * 5000 + b"}}",
    "words for a version": b'{"network": "main", "is_demo": false, "algorithm_version": '
    b'"<script>", "tip": null, "spot": null, "window": null}',
    "not UTF-8": b"\xff\xfe{}",
    "longer than it may be": b" " * 300_000,
    "no block": b'{"network": "main", "is_demo": false, "algorithm_version": "9.1+1", "tip": null, '
    b'"spot": null, "window": null}',
}


@pytest.mark.parametrize("lie", LIES)
def test_a_peer_that_lies_gets_a_sentence_and_nothing_of_it_is_kept(lie: str) -> None:
    class Liar(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(LIES[lie])

    with served(Liar) as url:
        said = ask_peer(url, Route())
    assert isinstance(said, str)
    assert len(said) < 80
    assert "script" not in said


def test_peers_that_hang_cost_the_time_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "ASK_SECONDS", 0.3)
    released = threading.Event()

    class Sleeper(Quiet):
        def do_GET(self) -> None:
            released.wait(20)

    class Prompt(Quiet):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()

    with served(Sleeper) as slow, served(Prompt) as prompt:
        try:
            said = ask_peers([f"{slow}/1", f"{slow}/2", f"{slow}/3", prompt], Route())
        finally:
            released.set()
    assert said[prompt] == "it answers 404"
    assert len({said[f"{slow}/{n}"] for n in (1, 2, 3)} - {ask.NO_ANSWER}) <= 1
    assert all(isinstance(words, str) for words in said.values())


@pytest.mark.parametrize(
    "peers",
    [
        "ftp://a.example",
        "https://u:p@a.example",
        "https://a.example/?key=1",
        ",".join(f"https://{n}.example" for n in range(17)),
    ],
)
def test_what_is_no_list_of_sites_is_a_wrong_setting(
    home: Home, peers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home.settings = {**home.settings, "ORACLE_PEERS": peers}
    assert home.oracle("build") == 2
    assert "ORACLE_PEERS" in capsys.readouterr().err
