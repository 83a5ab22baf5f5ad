"""`oracle verify`, as a person types it: what was changed by hand is found, and nothing else."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from oracle.calculator import UTXOracleCalculator
from oracle.estimate.limits import Limits
from oracle.record.reader import open_reader
from oracle.sources.esplora import EsploraSource
from oracle.verify.compare import compare_with_blocks
from oracle.verify.published import known_days, known_heights, of_record
from oracle.verify.recompute import Rules
from oracle.verify.record import check_record
from oracle.verify.selection import Chosen
from tests.helpers.fakes import FakeChain, FakeElectrs
from tests.helpers.home import Home
from tests.helpers.steady import thinned
from tests.helpers.ticking import FIRST, small_chain

TIP = FIRST + 310  # a whole final day is among them
RULES = Rules(UTXOracleCalculator(), Limits())
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def node() -> Iterator[FakeElectrs]:
    blocks = [small_chain().block(height) for height in range(FIRST, TIP + 1)]
    with FakeElectrs(FakeChain(blocks, FIRST)) as server:
        yield server


@pytest.fixture(scope="module")
def made(node: FakeElectrs, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A signed site, built once."""
    settings = {
        "ELECTRS_URL": node.url,
        "ORACLE_FIRST_RUN_BLOCKS": str(TIP - FIRST + 1),
        "ORACLE_MEMPOOL_RETRY_DELAYS_SECONDS": "0",
        "ORACLE_SIGNING_KEY": "signing.key",
    }
    home = Home(tmp_path_factory.mktemp("made"), settings)
    assert home.oracle("keygen", "signing.key") == 0
    assert home.oracle("build") == 0
    return home


@pytest.fixture
def home(made: Home, tmp_path: Path) -> Home:
    """A copy to change."""
    return made.copied_to(tmp_path / "home")


def verify(home: Home, capsys: Capture, *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    exit_code = home.oracle("verify", *arguments, "--json")
    out = capsys.readouterr().out
    return exit_code, json.loads(out) if out else {}


def places(answer: dict[str, Any]) -> str:
    return "\n".join(miss["place"] for miss in answer["misses"])


def test_debians_minisign_accepts_the_signature_and_none_over_other_bytes(
    made: Home, tmp_path: Path
) -> None:
    minisign = shutil.which("minisign")
    if minisign is None:
        pytest.skip("minisign is not installed (apt-get install minisign)")
    for name in ("manifest.json", "manifest.json.minisig"):
        shutil.copy(made.public / "api" / name, tmp_path)
    published = (made.public / "minisign.pub").read_text().splitlines()[1]

    def check(*key: str) -> subprocess.CompletedProcess[str]:
        command = [minisign, "-Vm", str(tmp_path / "manifest.json"), *key]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for key in (
        ("-P", published),
        ("-p", str(made.public / "minisign.pub")),
        ("-p", str(made.folder / "signing.pub")),
    ):
        checked = check(*key)
        assert checked.returncode == 0, checked.stderr
        assert "Trusted comment: " in checked.stdout
        assert json.loads((tmp_path / "manifest.json").read_bytes())["build_id"] in checked.stdout
    with (tmp_path / "manifest.json").open("ab") as manifest:
        manifest.write(b" ")
    assert check("-P", published).returncode != 0


def test_a_key_that_debians_minisign_made_signs(home: Home, capsys: Capture) -> None:
    minisign = shutil.which("minisign")
    if minisign is None:
        pytest.skip("minisign is not installed (apt-get install minisign)")
    made_by_others = ["-G", "-W", "-p", "theirs.pub", "-s", "theirs.key"]
    subprocess.run([minisign, *made_by_others], cwd=home.folder, check=True, capture_output=True)
    home.settings = {**home.settings, "ORACLE_SIGNING_KEY": "theirs.key"}
    home.render_anew()
    exit_code, answer = verify(home, capsys, "--last", "1", "--key", "theirs.pub")
    assert (exit_code, answer["misses"]) == (0, [])


def test_the_page_for_programs_says_the_key_and_how_to_check(made: Home) -> None:
    page = (made.public / "api/index.html").read_text()
    key = (made.public / "minisign.pub").read_text().splitlines()[1]
    assert f"minisign -Vm manifest.json -P {key}" in page
    assert f"--key {key}" in page


# --- One's own site -----------------------------------------


def test_what_nobody_touched_matches_to_the_last_digit(made: Home, capsys: Capture) -> None:
    exit_code, answer = verify(made, capsys, "--key", "signing.pub")
    assert (exit_code, answer["misses"], answer["unchecked"]) == (0, [], [])
    prices = TIP - FIRST - 143
    assert answer["matches"]["prices worked out again"] == prices
    assert answer["matches"]["blocks beside the node's"] == TIP - FIRST + 1
    assert answer["matches"]["days worked out again"] >= 1


ROW = f"height = {TIP - 3}"
CHANGES = {
    "a price": (
        f"UPDATE prices SET window_usd = window_usd + 0.00000001 WHERE {ROW}",
        "window_usd",
    ),
    "a spot price": (f"UPDATE prices SET spot_usd = spot_usd + 0.01 WHERE {ROW}", "spot_usd"),
    "an interval": (
        f"UPDATE prices SET spot_low_usd = spot_low_usd - 1 WHERE {ROW}",
        "spot_low_usd",
    ),
    "a confidence": (f"UPDATE prices SET window_confidence = 0.99 WHERE {ROW}", "confidence"),
    "a verdict": (f"UPDATE prices SET spot_is_valid = NOT spot_is_valid WHERE {ROW}", "is_valid"),
    "a block hash": (f"UPDATE blocks SET hash = repeat('0', 64) WHERE {ROW}", "block"),
    "a header time": (f"UPDATE blocks SET time_unix = time_unix + 1 WHERE {ROW}", "block"),
    "the bits of a header": (f"UPDATE blocks SET bits = 486604799 WHERE {ROW}", "block"),
    "an output": (
        f"UPDATE outputs SET value_sats = value_sats + 1 WHERE rowid = "
        f"(SELECT min(rowid) FROM outputs WHERE {ROW})",
        "outputs of block",
    ),
    "an output left out": (
        f"DELETE FROM outputs WHERE rowid = (SELECT max(rowid) FROM outputs WHERE {ROW})",
        "eligible_outputs of block",
    ),
    "a price left out": (f"DELETE FROM prices WHERE {ROW}", f"price of block {TIP - 3}"),
    "a price doubled": (f"INSERT INTO prices FROM prices WHERE {ROW}", f"price of block {TIP - 3}"),
    "a block doubled": (f"INSERT INTO blocks FROM blocks WHERE {ROW}", f"block {TIP - 3}"),
    "a day left out": ("DELETE FROM days", "day "),
    "a day doubled": ("INSERT INTO days FROM days", "day "),
    "the price of a day": ("UPDATE days SET price_usd = price_usd + 0.0000001", "price_usd of day"),
    "the blocks of a day": ("UPDATE days SET first_height = first_height + 1", "day "),
}


@pytest.mark.parametrize("change", thinned(CHANGES))
def test_what_was_changed_in_the_record_is_found(
    home: Home, node: FakeElectrs, change: str
) -> None:
    sql, expected = CHANGES[change]
    home.execute(sql)
    with open_reader(home.database) as reader:
        found = check_record(reader)
        days = [span.day for span in known_days(reader)] if "day" in change else []
        chosen = Chosen(known_heights(reader)[-4:], days)
        published = of_record(reader, chosen)
    with closing(EsploraSource(node.url)) as source:
        beside = compare_with_blocks(published, chosen, source, RULES, lambda _done, _all: None)
    misses = found.misses + beside.misses
    assert expected in "\n".join(miss.place for miss in misses)
    assert all(miss.advice for miss in misses)


@pytest.mark.slow
def test_a_change_of_the_record_is_found_though_the_site_was_made_of_it(
    home: Home, capsys: Capture
) -> None:
    home.execute(f"UPDATE prices SET window_usd = window_usd + 0.00000001 WHERE {ROW}")
    home.render_anew()
    exit_code, answer = verify(home, capsys, "--last", "5")
    assert (exit_code, places(answer)) == (1, f"window_usd of block {TIP - 3}")


def test_a_record_that_was_changed_behind_its_site_is_found_in_the_files(
    home: Home, capsys: Capture
) -> None:
    home.execute(f"UPDATE prices SET window_usd = window_usd + 1 WHERE {ROW}")
    exit_code, answer = verify(home, capsys, "--last", "1")  # whose price was not changed
    assert exit_code == 1
    assert "window_usd of row" in places(answer)
    assert "data/prices.parquet" in places(answer)


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file that other releases may share."""
    data = change(path.read_bytes())
    path.unlink()
    path.write_bytes(data)


def backwards(data: bytes) -> bytes:
    import io

    import pyarrow as pa

    table = pq.read_table(io.BytesIO(data))
    sink = io.BytesIO()
    pq.write_table(table.take(pa.array(range(table.num_rows - 1, -1, -1))), sink)
    return sink.getvalue()


def drop_an_entry(data: bytes) -> bytes:
    manifest = json.loads(data)
    manifest["files"] = manifest["files"][:-1]
    return json.dumps(manifest, separators=(",", ":")).encode() + b"\n"


FILES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "a file": ("index.html", lambda data: data + b" ", "index.html"),
    "a file cut short": ("api/days.json", lambda data: data[:-2], "api/days.json"),
    "the order of rows": ("data/prices.parquet", backwards, "data/prices.parquet"),
    "an entry of the manifest": ("api/manifest.json", drop_an_entry, "api/manifest.json"),
    "the tip of the manifest": (
        "api/manifest.json",
        lambda data: data.replace(b'"height":', b'"height":1', 1),
        "tip of the manifest",
    ),
    "a manifest that is none": ("api/manifest.json", lambda _: b"[]", "api/manifest.json"),
}


@pytest.mark.parametrize("change", thinned(FILES))
def test_what_was_changed_in_the_release_is_found(home: Home, capsys: Capture, change: str) -> None:
    path, how, expected = FILES[change]
    rewrite(home.public / path, how)
    exit_code, answer = verify(home, capsys, "--last", "1", "--key", "signing.pub")
    assert exit_code == 1
    assert expected in places(answer)


def test_a_file_that_the_manifest_does_not_know_is_found(home: Home, capsys: Capture) -> None:
    (home.public / "planted.html").write_text("buy")
    exit_code, answer = verify(home, capsys, "--last", "1")
    assert (exit_code, places(answer)) == (1, "planted.html")


@pytest.mark.slow
def test_a_site_that_says_something_else_in_a_file_and_its_manifest_is_found(
    home: Home, capsys: Capture
) -> None:
    """Both are made to agree, as somebody would who may write there."""
    import gzip
    import hashlib

    path = home.public / "api/days.json"
    days = json.loads(path.read_bytes())
    days["days"][0]["price_usd"] += 1
    data = json.dumps(days).encode()
    rewrite(path, lambda _: data)
    twin = path.with_name("days.json.gz")
    packed = gzip.compress(data) if twin.exists() else b""
    if packed:
        rewrite(twin, lambda _: packed)

    def agree(manifest: bytes) -> bytes:
        said = json.loads(manifest)
        for entry in said["files"]:
            if entry["path"] == "api/days.json":
                entry["size_bytes"] = len(data)
                entry["sha256"] = hashlib.sha256(data).hexdigest()
                entry["gzip_bytes"] = len(packed) or None
        return json.dumps(said, separators=(",", ":")).encode() + b"\n"

    rewrite(home.public / "api/manifest.json", agree)
    exit_code, answer = verify(home, capsys, "--last", "1")
    assert exit_code == 1
    assert "days[0].price_usd in api/days.json" in places(answer)
    _, answer = verify(home, capsys, "--last", "1", "--key", "signing.pub")
    assert "api/manifest.json.minisig" in places(answer)


def test_blocks_that_the_node_does_not_have_are_unchecked_and_no_miss(
    home: Home, capsys: Capture
) -> None:
    blocks = [small_chain().block(height) for height in range(TIP - 150, TIP + 1)]
    with FakeElectrs(FakeChain(blocks, TIP - 150)) as pruned:
        home.settings = {**home.settings, "ELECTRS_URL": pruned.url}
        exit_code, answer = verify(home, capsys, "--last", "20")
    assert exit_code == 6
    assert answer["misses"] == []
    assert f"prices of {TIP - 19} to {TIP}" in answer["unchecked"][0]


def test_a_node_that_is_not_there_leaves_the_prices_unchecked(home: Home, capsys: Capture) -> None:
    home.settings = {**home.settings, "ELECTRS_URL": "http://127.0.0.1:1"}
    exit_code, answer = verify(home, capsys, "--last", "1")
    assert (exit_code, answer["misses"]) == (6, [])
    assert "every price" in answer["unchecked"][0]


def test_a_day_that_is_not_published_is_not_there_to_verify(made: Home, capsys: Capture) -> None:
    capsys.readouterr()
    assert made.oracle("verify", "--from", "2009-01-03", "--to", "2009-01-04") == 1
    assert "no day from 2009-01-03 to 2009-01-04 is published" in capsys.readouterr().err


def test_two_ways_to_choose_at_once_are_a_wrong_request(made: Home, capsys: Capture) -> None:
    assert verify(made, capsys, "--day", "2025-10-01", "--last", "3")[0] == 2


# --- Somebody else's ----------------------------------------


@pytest.fixture
def url(home: Home) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(home.public))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Say nothing."""


def test_a_site_elsewhere_matches_ones_own_node(
    made: Home, home: Home, url: str, capsys: Capture
) -> None:
    key = str(made.folder / "signing.pub")
    exit_code, answer = verify(made, capsys, url, "--last", "5", "--key", key)
    assert (exit_code, answer["misses"]) == (0, [])
    assert answer["matches"]["prices worked out again"] == 5
    assert answer["matches"]["signatures"] == 1


def test_a_site_of_other_prices_is_found_though_it_agrees_with_itself(
    made: Home, home: Home, url: str, capsys: Capture
) -> None:
    home.execute(f"UPDATE prices SET window_usd = window_usd * 1.001 WHERE {ROW}")
    home.render_anew()
    exit_code, answer = verify(made, capsys, url, "--last", "5")
    assert exit_code == 1
    assert places(answer) == f"window_usd of block {TIP - 3}"


def test_a_site_signed_by_another_key_is_found(
    made: Home, home: Home, url: str, capsys: Capture
) -> None:
    assert home.oracle("keygen", "other.key") == 0
    key = str(home.folder / "other.pub")
    exit_code, answer = verify(made, capsys, url, "--last", "1", "--key", key)
    assert (exit_code, places(answer)) == (1, "api/manifest.json.minisig")


def test_a_site_without_its_signature_is_found(
    made: Home, home: Home, url: str, capsys: Capture
) -> None:
    (home.public / "api/manifest.json.minisig").unlink()
    key = str(made.folder / "signing.pub")
    exit_code, answer = verify(made, capsys, url, "--last", "1", "--key", key)
    assert (exit_code, places(answer)) == (1, "api/manifest.json.minisig")


LIES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a file": ("index.html", lambda data: data + b" "),
    "rows in another order": ("data/prices.parquet", backwards),
    "no Parquet": ("data/prices.parquet", lambda _: b"PAR1 and nothing else PAR1"),
    "an object that is a list": ("api/latest.json", lambda _: b"[[[[]]]]"),
}


@pytest.mark.parametrize("lie", thinned(LIES))
def test_a_site_whose_files_are_not_those_of_its_manifest_is_found(
    made: Home, home: Home, url: str, capsys: Capture, lie: str
) -> None:
    path, how = LIES[lie]
    rewrite(home.public / path, how)
    exit_code, answer = verify(made, capsys, url, "--last", "1")
    assert exit_code == 1
    assert path in places(answer)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b'{"files": 7}',
        b'{"files": [], "network": 7, "is_demo": true, "build_id": ""}',
        b'{"files": [{"path": "../../etc/passwd", "size_bytes": 1, "sha256": "'
        + b"0" * 64
        + b'"}]}',
        b"\xff\xfe",
    ],
)
def test_a_site_with_no_manifest_is_refused_in_a_sentence(
    made: Home, home: Home, url: str, capsys: Capture, manifest: bytes
) -> None:
    rewrite(home.public / "api/manifest.json", lambda _: manifest)
    capsys.readouterr()
    assert made.oracle("verify", url, "--last", "1") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "manifest" in said.err


def test_an_address_that_is_none_is_a_wrong_request(made: Home, capsys: Capture) -> None:
    assert made.oracle("verify", "ftp://example.org") == 2
    assert "http" in capsys.readouterr().err
