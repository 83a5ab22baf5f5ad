"""A release at another place: a real S3 interface on loopback (moto's server), and a folder."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from moto.server import ThreadedMotoServer

from builder.push import push as pushing
from builder.push.order import SPELLINGS, pieces_of
from builder.push.push import Pushed, push
from builder.push.state import load_state, state_path
from builder.push.target import Target, open_target
from builder.releases import MANIFEST, current_release, read_manifest
from builder.site import Output, build_site
from oracle.errors import NoDataError, RequestError, TargetError
from oracle.record.reader import Reader
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, add_block, make_history

DAY_SECONDS = 86_400
BUCKET = "s3://price/site"


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadedMotoServer]:
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield running
    running.stop()


OPEN = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::price", "arn:aws:s3:::price/*"],
        }
    ],
}


class Store(NamedTuple):
    """An S3 store: what lies in the bucket, asked by HTTP as readers do."""

    host: str
    port: int

    def ask(
        self, method: str, path: str, body: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        connection.request(method, path, body)
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def begin(self) -> None:
        """Have one empty bucket that everybody may read."""
        self.ask("POST", "/moto-api/reset")
        self.ask("PUT", "/price")
        self.ask("PUT", "/price?policy", json.dumps(OPEN))

    def get(self, key: str) -> tuple[int, dict[str, str], bytes]:
        return self.ask("GET", f"/price/site/{key}")


@pytest.fixture
def store(server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch) -> Store:
    host, port = server.get_host_and_port()
    made = Store(host, port)
    made.begin()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    return made


@pytest.fixture(scope="module")
def record() -> Iterator[duckdb.DuckDBPyConnection]:
    with make_history(days=3, outputs_per_block=20, network="main") as connection:
        yield connection


def build(record: duckdb.DuckDBPyConnection, folder: Path, now_unix: int = END_UNIX) -> Path:
    return build_site(Reader(record), Output(folder), context(now_unix)).folder


@pytest.fixture
def site(record: duckdb.DuckDBPyConnection, tmp_path: Path) -> Path:
    build(record, tmp_path / "site")
    return tmp_path / "site"


def sent(site: Path, address: str = BUCKET, now_unix: int = END_UNIX, **more: Any) -> Pushed:
    options = {"grace_seconds": DAY_SECONDS, "progress": lambda _done, _all: None, **more}
    return push(site, address, now_unix=now_unix, **options)


def manifest_of(site: Path) -> dict[str, Any]:
    release = current_release(site)
    assert release is not None
    return dict(read_manifest(release))


def test_every_file_of_the_release_is_there_as_it_is(store: Store, site: Path) -> None:
    sent(site)
    for path, entry in manifest_of(site).items():
        status, headers, data = store.get(path)
        if headers.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        assert (status, hashlib.sha256(data).hexdigest()) == (200, entry["sha256"]), path
    release = current_release(site)
    assert release is not None
    assert store.get(MANIFEST)[2] == (release / MANIFEST).read_bytes()


def test_types_cache_and_compression_are_said(store: Store, site: Path) -> None:
    sent(site)
    asset = next(path for path in manifest_of(site) if path.startswith("assets/site."))
    said = {
        path: [store.get(path)[1].get(name) for name in ("content-type", "cache-control")]
        for path in ("index.html", "api/latest.json", "data/prices.parquet", asset)
    }
    assert said["index.html"][0] == "text/html; charset=utf-8"
    assert said["api/latest.json"] == ["application/json", "public, max-age=30, must-revalidate"]
    assert said["data/prices.parquet"][0] == "application/vnd.apache.parquet"
    assert "immutable" in said[asset][1]
    assert store.get("index.html")[1]["content-encoding"] == "gzip"
    assert "content-encoding" not in store.get("api/latest.json")[1]


def test_addresses_of_other_programs_that_take_no_question_are_files(
    store: Store, site: Path
) -> None:
    sent(site)
    release = current_release(site)
    assert release is not None
    for key, path in SPELLINGS.items():
        status, headers, data = store.get(key)
        assert (status, data) == (200, (release / path).read_bytes())
        assert headers["content-type"].startswith(("application/json", "text/plain"))
    assert store.get("api/v1/historical-price")[0] == 404  # each question had the same answer


def test_a_second_push_sends_nothing_but_the_manifest(store: Store, site: Path) -> None:
    first = sent(site)
    again = sent(site)
    assert (again.sent_files, again.unchanged_files) == (0, first.sent_files)


def test_a_new_block_sends_only_what_has_changed(
    store: Store, record: duckdb.DuckDBPyConnection, site: Path
) -> None:
    first = sent(site)
    before = manifest_of(site)
    build(record, site, add_block(record))
    after = manifest_of(site)
    known = {path: entry["sha256"] for path, entry in before.items()}
    changed = {path for path, entry in after.items() if entry["sha256"] != known.get(path)}
    spelled = {key for key, path in SPELLINGS.items() if path in changed}
    second = sent(site)
    assert second.sent_files == len(changed) + len(spelled) < first.sent_files / 2
    assert store.get("api/latest.json")[2] == (site / "public/api/latest.json").read_bytes()


class Watched:
    """What a target was asked to do, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int | None = None) -> None:
        self.keys: list[str] = []
        write = Target.write

        def watching(target: Target, key: str, data: bytes, headers: Any) -> None:
            if fails_at is not None and len(self.keys) >= fails_at:
                raise TargetError(target.name, "OSError: the line is down")
            self.keys.append(key)
            write(target, key, data, headers)

        monkeypatch.setattr(Target, "write", watching)


def test_what_leads_to_others_goes_last(
    store: Store, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    sent(site)
    turns = {piece.key: piece.turn for piece in pieces_of(manifest_of(site))}
    order = [turns[key] for key in watched.keys[:-1]]
    assert order == sorted(order)
    assert watched.keys[-1] == MANIFEST
    assert turns["assets/" + Path(next(k for k in turns if k.startswith("assets/"))).name] == 0
    assert turns["index.html"] < turns["api/latest.json"]


def test_a_push_that_was_interrupted_goes_on_where_it_stopped(
    store: Store, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Watched(patch, fails_at=40)
        with pytest.raises(TargetError, match="the line is down"):
            sent(site)
    assert store.get(MANIFEST)[0] == 404  # nobody is told of a half
    there = len(load_state(state_path(site, BUCKET)).files)
    assert 30 < there <= 40
    whole = len(pieces_of(manifest_of(site)))
    assert sent(site).sent_files == whole - there


@pytest.mark.slow
def test_a_bucket_that_was_emptied_gets_everything_again(store: Store, site: Path) -> None:
    first = sent(site)
    store.begin()
    assert sent(site).sent_files == first.sent_files


@pytest.mark.slow
def test_where_somebody_else_has_published_everything_is_sent_again(
    store: Store, site: Path
) -> None:
    first = sent(site)
    open_target(BUCKET).files.pipe_file("price/site/api/manifest.json", b'{"files":[]}\n')
    assert sent(site).sent_files == first.sent_files


@pytest.mark.slow
def test_a_state_that_cannot_be_read_is_none(store: Store, site: Path) -> None:
    first = sent(site)
    state_path(site, BUCKET).write_text('{"files": [], "gone_since_unix": 3')
    assert sent(site).sent_files == first.sent_files


def test_what_is_over_is_removed_after_its_grace(
    store: Store, record: duckdb.DuckDBPyConnection, site: Path
) -> None:
    sent(site)
    extra = load_state(state_path(site, BUCKET))
    extra.files["assets/old.0123456789ab.css"] = "mark"
    pushing.save_state(state_path(site, BUCKET), extra)
    open_target(BUCKET).files.pipe_file("price/site/assets/old.0123456789ab.css", b"p{}")
    waiting = sent(site, now_unix=END_UNIX + 10)
    assert (waiting.removed_files, waiting.waiting_files) == (0, 1)
    assert store.get("assets/old.0123456789ab.css")[0] == 200
    over = sent(site, now_unix=END_UNIX + 10 + DAY_SECONDS)
    assert (over.removed_files, over.waiting_files) == (1, 0)
    assert store.get("assets/old.0123456789ab.css")[0] == 404


@pytest.mark.slow
def test_what_others_have_there_is_never_removed(store: Store, site: Path) -> None:
    sent(site)
    open_target(BUCKET).files.pipe_file("price/site/logo.png", b"theirs")
    sent(site, now_unix=END_UNIX + 90 * DAY_SECONDS, grace_seconds=0)
    assert store.get("logo.png")[0] == 200


# A folder


def test_a_folder_gets_the_same_files(site: Path, tmp_path: Path) -> None:
    sent(site, str(tmp_path / "other"))
    for path, entry in manifest_of(site).items():
        data = (tmp_path / "other" / path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    assert not list((tmp_path / "other").rglob(".tmp-*"))


def test_a_reader_of_a_folder_never_sees_half_a_file(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(site, str(tmp_path / "other"))
    before = (tmp_path / "other/index.html").read_bytes()
    target = open_target(str(tmp_path / "other"))
    monkeypatch.setattr(type(target.files), "mv", broken)
    with pytest.raises(TargetError):
        target.write("index.html", b"half", pushing.headers_of("index.html"))
    assert (tmp_path / "other/index.html").read_bytes() == before


def broken(*_: object) -> None:
    raise OSError("no space left on device")


# What cannot be


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nowhere://bucket/x", "is no place to publish to"),
        ("s3://", "names no bucket"),
        ("/", "names no bucket and no folder"),
    ],
)
def test_an_address_that_is_none_is_said_to_be_none(site: Path, address: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        sent(site, address)


def test_without_the_extra_one_sentence_says_what_brings_it(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(RequestError, match=r"onchain-oracle\[publish\]"):
        sent(site)


def test_before_the_first_build_there_is_nothing_to_publish(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="run oracle build first"):
        sent(tmp_path)


def test_a_bucket_that_is_missing_is_one_sentence(store: Store, site: Path) -> None:
    with pytest.raises(TargetError, match="did not take the site"):
        sent(site, "s3://another/site")


def test_a_release_that_was_made_over_meanwhile_is_told(
    store: Store, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = current_release(site)
    assert release is not None
    page = release / "history/index.html"
    page.unlink()
    page.write_bytes(b"another")
    with pytest.raises(TargetError, match="run oracle publish again"):
        sent(site)
    assert store.get(MANIFEST)[0] == 404


def test_the_command_says_what_it_did(site: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("oracle"), "publish", str(tmp_path / "other"), "--json"],
        cwd=tmp_path,
        env={**os.environ, "ORACLE_SITE_DIR": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["sent_files"] > 30
    assert told["release"] == (site / "public").resolve().name
    assert (tmp_path / "other" / MANIFEST).is_file()
