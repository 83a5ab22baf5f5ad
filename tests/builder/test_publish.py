"""Releases: atomic, carried over, rolled back, the same bytes whichever way they came about."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from builder import site
from builder.api import history
from builder.draft import Draft
from builder.publish import compress, publish
from builder.releases import UNFINISHED, current_release, releases, rollback
from builder.site import BuildReport, Output, build_site, describe_machine
from oracle.errors import NoDataError, StoreError
from oracle.record.reader import Reader, open_reader
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, add_block, add_failed_run, make_history

Connection = duckdb.DuckDBPyConnection
HEAD = {"schema_version": 1}
ERROR = {
    "code": "SOURCE_UNAVAILABLE",
    "message": "nobody answers",
    "retry_after": 300,
    "details": {},
}


@pytest.fixture
def record() -> Iterator[Connection]:
    """Three days with few outputs."""
    with make_history(days=3, outputs_per_block=20) as connection:
        yield connection


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release of an ordinary record of three days; nobody changes it."""
    with make_history(days=3, outputs_per_block=20) as connection:
        return build(connection, tmp_path_factory.mktemp("built")).folder


@dataclass(frozen=True)
class Prepared:
    """A record, the site of an earlier moment, and what the next build should make."""

    database: Path
    site: Path
    now_unix: int
    wanted: dict[str, str]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Two releases are there; to be copied before use."""
    folder = tmp_path_factory.mktemp("prepared")
    database, site = folder / "record.duckdb", folder / "site"
    with make_history(database, days=2, outputs_per_block=5) as connection:
        for _ in range(2):
            build(connection, site, add_block(connection))
        now_unix = add_block(connection)
        wanted = contents(build(connection, folder / "fresh", now_unix).folder)
    return Prepared(database, site, now_unix, wanted)


def small(site: Path, name: str, files: dict[str, bytes], keep: int = 3) -> Path:
    """Publish a release of these files."""
    draft = Draft(current_release(site))
    for path, data in files.items():
        draft.add(path, data)
    return publish(site, draft, {**HEAD, "build_id": name}, keep=keep)


def build(connection: Connection, site: Path, now_unix: int = END_UNIX, **more: Any) -> BuildReport:
    return build_site(Reader(connection), Output(site, **more), context(now_unix))


def contents(release: Path) -> dict[str, str]:
    """Digests of all files of a release by path."""
    files = (p for p in release.rglob("*") if p.is_file())
    return {str(p.relative_to(release)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_release_is_reached_through_the_link(tmp_path: Path) -> None:
    small(tmp_path, "a", {"index.html": b"hello"})
    assert (tmp_path / "public" / "index.html").read_bytes() == b"hello"
    assert (tmp_path / "public").readlink() == Path("releases/00000001-a")


def test_what_a_release_holds_is_flushed_to_disk_before_the_link_leads_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[str, bool]] = []

    def watched(file: Any) -> None:
        handle = file if isinstance(file, int) else file.fileno()
        path = Path(f"/proc/self/fd/{handle}").readlink()
        flushed.append((path.name, (tmp_path / "public").is_symlink()))

    monkeypatch.setattr(os, "fsync", watched)
    small(tmp_path, "a", {"index.html": b"hello"})
    assert {("index.html", False), ("manifest.json", False)} <= set(flushed)
    assert any(is_linked for _, is_linked in flushed), "the folder of the link, afterwards"


def test_the_next_release_takes_the_place_of_the_last(tmp_path: Path) -> None:
    small(tmp_path, "a", {"index.html": b"one"})
    small(tmp_path, "b", {"index.html": b"two"})
    assert (tmp_path / "public" / "index.html").read_bytes() == b"two"
    assert (tmp_path / "releases" / "00000001-a" / "index.html").read_bytes() == b"one"


def test_an_unchanged_file_is_the_same_file_on_disk(tmp_path: Path) -> None:
    first = small(tmp_path, "a", {"x.css": b"same"})
    second = small(tmp_path, "b", {"x.css": b"same"})
    assert (first / "x.css").samefile(second / "x.css")


def test_a_file_that_is_wanted_no_more_is_gone(tmp_path: Path) -> None:
    small(tmp_path, "a", {"x.css": b"x", "y.css": b"y"})
    assert not (small(tmp_path, "b", {"x.css": b"x"}) / "y.css").exists()


def test_only_the_last_releases_are_kept(tmp_path: Path) -> None:
    for name in "abcde":
        small(tmp_path, name, {"index.html": name.encode()}, keep=3)
    assert [p.name for p in releases(tmp_path)] == ["00000003-c", "00000004-d", "00000005-e"]


def test_a_release_made_over_from_the_oldest_has_nothing_of_it_left(tmp_path: Path) -> None:
    for name in "abcd":
        small(tmp_path, name, {f"{name}.css": name.encode(), "same.css": b"same"}, keep=2)
    newest = current_release(tmp_path)
    assert newest is not None
    assert sorted(contents(newest)) == ["api/manifest.json", "d.css", "same.css"]


def test_making_a_release_over_leaves_files_that_others_share_as_they_are(tmp_path: Path) -> None:
    for name in "ab":
        small(tmp_path, name, {"x.css": b"shared by a and b"}, keep=2)
    small(tmp_path, "c", {"x.css": b"new"}, keep=2)
    assert (tmp_path / "releases" / "00000002-b" / "x.css").read_bytes() == b"shared by a and b"


def test_the_same_moment_built_twice_gives_two_whole_releases(tmp_path: Path) -> None:
    small(tmp_path, "a", {"index.html": b"one"})
    small(tmp_path, "a", {"index.html": b"two"})
    assert [p.name for p in releases(tmp_path)] == ["00000001-a", "00000002-a"]
    assert (tmp_path / "public" / "index.html").read_bytes() == b"two"


def test_leftovers_of_a_killed_build_are_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "releases" / ".tmp-dead").mkdir(parents=True)
    (tmp_path / "releases" / ".tmp-dead" / "half.html").write_bytes(b"half")
    (tmp_path / ".tmp-public").symlink_to("nowhere")
    small(tmp_path, "a", {"index.html": b"one"})
    assert sorted(p.name for p in (tmp_path / "releases").iterdir()) == ["00000001-a"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["public", "releases"]


def test_rollback_goes_to_the_release_before(tmp_path: Path) -> None:
    for name in "abc":
        small(tmp_path, name, {"index.html": name.encode()})
    assert rollback(tmp_path).name == "00000002-b"
    assert rollback(tmp_path).name == "00000001-a"
    assert (tmp_path / "public" / "index.html").read_bytes() == b"a"


def test_rollback_goes_to_the_release_that_is_named(tmp_path: Path) -> None:
    for name in "abc":
        small(tmp_path, name, {"index.html": name.encode()})
    assert rollback(tmp_path, "00000001-a").name == "00000001-a"
    assert rollback(tmp_path, "00000003-c").name == "00000003-c"


def test_rollback_without_an_earlier_release_says_what_there_is(tmp_path: Path) -> None:
    small(tmp_path, "a", {"index.html": b"a"})
    with pytest.raises(NoDataError, match="kept are: 00000001-a"):
        rollback(tmp_path)


def test_rollback_to_an_unknown_release_changes_nothing(tmp_path: Path) -> None:
    small(tmp_path, "a", {"index.html": b"a"})
    with pytest.raises(NoDataError, match="no zzz"):
        rollback(tmp_path, "zzz")
    assert (tmp_path / "public").readlink() == Path("releases/00000001-a")


def test_a_build_after_a_rollback_keeps_the_release_that_was_gone_back_to(tmp_path: Path) -> None:
    for name in "abc":
        small(tmp_path, name, {"index.html": name.encode()}, keep=3)
    rollback(tmp_path, "00000001-a")
    small(tmp_path, "d", {"index.html": b"d"}, keep=3)
    assert (tmp_path / "public" / "index.html").read_bytes() == b"d"
    assert (
        "00000001-a" not in [p.name for p in releases(tmp_path)]
        or (tmp_path / "releases/00000001-a/index.html").read_bytes() == b"a"
    )


def test_the_gzip_twin_holds_no_time_and_unpacks_to_the_file() -> None:
    data = b"all work and no play " * 200
    packed = compress(".html", data)
    assert packed is not None
    assert packed[4:8] == b"\0\0\0\0"
    assert gzip.decompress(packed) == data


@pytest.mark.parametrize(
    ("suffix", "data"), [(".parquet", b"a" * 9000), (".html", b"short"), (".js", os.urandom(5000))]
)
def test_what_is_not_worth_packing_has_no_twin(suffix: str, data: bytes) -> None:
    assert compress(suffix, data) is None


def test_the_manifest_lists_every_file_with_its_size_and_digest(built: Path) -> None:
    manifest = json.loads((built / "api/manifest.json").read_bytes())
    listed = {entry["path"]: (entry["size_bytes"], entry["sha256"]) for entry in manifest["files"]}
    there = {
        p: d
        for p, d in contents(built).items()
        if not p.endswith(".gz") and not p.startswith("health/")
    }
    del there["api/manifest.json"]
    assert {path: digest for path, (_, digest) in listed.items()} == there
    assert all((built / path).stat().st_size == size for path, (size, _) in listed.items())


def test_every_twin_in_the_manifest_is_there_and_unpacks_to_its_file(built: Path) -> None:
    manifest = json.loads((built / "api/manifest.json").read_bytes())
    twins = {entry["path"] for entry in manifest["files"] if entry["gzip_bytes"]}
    assert twins == {path[:-3] for path in contents(built) if path.endswith(".gz")}
    assert all(
        gzip.decompress((built / f"{p}.gz").read_bytes()) == (built / p).read_bytes() for p in twins
    )


def test_sha256sums_cover_the_data_files(built: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=built / "data",
        capture_output=True,
        text=True,
        check=False,
    )
    kinds = ("*.parquet", "*.csv", "*.bin")
    files = [file for kind in kinds for file in (built / "data").rglob(kind)]
    assert len(files) > 7
    assert (checked.returncode, checked.stdout.count(": OK")) == (0, len(files))


def test_the_same_record_and_time_give_the_same_bytes(
    record: Connection, built: Path, tmp_path: Path
) -> None:
    again = build(record, tmp_path)
    assert again.folder.name == built.name
    assert contents(again.folder) == contents(built)


@pytest.mark.slow
@pytest.mark.parametrize("long_from", [history.LONG_RECORD_BLOCKS, 1])
def test_block_after_block_gives_the_same_bytes_as_all_at_once(
    record: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_from: int
) -> None:
    monkeypatch.setattr(history, "LONG_RECORD_BLOCKS", long_from)
    for _ in range(7):  # past a full hour, and past the release that is made over
        now_unix = add_block(record)
        step_by_step = build(record, tmp_path / "steps", now_unix, keep_releases=3)
    at_once = build(record, tmp_path / "once", now_unix)
    assert step_by_step.files_carried > 30
    assert contents(step_by_step.folder) == contents(at_once.folder)


OF_ALL_HISTORY = [
    *("api/history/all.json", "api/history/all.csv", "data/prices.csv", "data/hours.csv"),
    *("data/prices.parquet", "data/exchange.parquet"),
]


def test_of_a_long_record_what_covers_all_of_it_is_made_anew_at_midnight_alone(
    record: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LONG_RECORD_BLOCKS", 1)
    monkeypatch.setattr(site, "SMALL_RECORD_BLOCKS", 1)
    at_noon = END_UNIX // 86_400 * 86_400 + 43_200
    noon, later, tomorrow = (
        contents(build(record, tmp_path, at_noon + hours * 3600).folder) for hours in (0, 2, 14)
    )
    assert [path for path in OF_ALL_HISTORY if noon[path] != later[path]] == []
    assert later["api/history/all.json"] != tomorrow["api/history/all.json"]
    assert noon["api/history/30d.json"] != later["api/history/30d.json"]


def test_the_scorecard_of_a_long_record_has_new_recent_periods_each_hour(
    record: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LONG_RECORD_BLOCKS", 1)
    midnight = END_UNIX // 86_400 * 86_400
    cards = [
        json.loads((build(record, tmp_path, now).folder / "api/scorecard.json").read_bytes())
        for now in (midnight + 43_200, midnight + 50_400)
    ]
    assert [card["record_until_unix"] for card in cards] == [midnight, midnight]
    assert [card["generated_at_unix"] - midnight for card in cards] == [43_200, 50_400]
    spots = [card["legs"]["spot"]["periods"] for card in cards]
    assert spots[0]["all"] == spots[1]["all"]
    assert spots[0]["1d"]["n"] != spots[1]["1d"]["n"]


def test_past_days_are_rendered_once(record: Connection, tmp_path: Path) -> None:
    first = build(record, tmp_path)
    second = build(record, tmp_path, add_block(record))
    page = "days/2025-10-07/index.html"
    assert (first.days_rendered, second.days_rendered) == (2, 0)
    assert (first.folder / page).samefile(second.folder / page)


def test_a_new_day_is_rendered_with_the_one_before_that_now_links_to_it(
    record: Connection, tmp_path: Path
) -> None:
    record.execute("CREATE TABLE later AS FROM days ORDER BY date DESC LIMIT 1")
    record.execute("DELETE FROM days WHERE date = (SELECT max(date) FROM days)")
    build(record, tmp_path)
    record.execute("INSERT INTO days FROM later")
    report = build(record, tmp_path, END_UNIX + 1)
    assert report.days_rendered == 2
    assert b"/days/2025-10-08/" in (report.folder / "days/2025-10-07/index.html").read_bytes()


def test_a_day_that_was_replaced_is_made_anew(record: Connection, tmp_path: Path) -> None:
    build(record, tmp_path)
    record.execute("UPDATE days SET price_usd = 12345.5 WHERE date = '2025-10-07'")
    report = build(record, tmp_path, END_UNIX + 1)
    assert (
        json.loads((report.folder / "api/days/2025-10-07.json").read_bytes())["price_usd"]
        == 12345.5
    )


def test_a_day_whose_blocks_were_lost_is_told_with_what_to_do(
    record: Connection, tmp_path: Path
) -> None:
    lost = record.execute("SELECT last_height FROM days ORDER BY date LIMIT 1").fetchone()
    assert lost
    record.execute("DELETE FROM blocks WHERE height = ?", lost)
    told = rf"stands on block {lost[0]}, and not the block: .*oracle backfill"
    with pytest.raises(StoreError, match=told):
        build(record, tmp_path)


def test_an_empty_record_makes_a_site_that_says_so(tmp_path: Path) -> None:
    with make_history(days=0) as connection:
        report = build(connection, tmp_path)
    assert report.status == "failing"
    assert (report.folder / "index.html").is_file()
    assert (report.folder / "health/failing").is_file()


def test_a_failed_run_publishes_the_last_numbers_with_the_error(
    record: Connection, tmp_path: Path
) -> None:
    good = build(record, tmp_path)
    add_failed_run(record, ERROR, END_UNIX + 600)
    failed = build(record, tmp_path, END_UNIX + 600)
    before, after = (
        json.loads((r.folder / "api/latest.json").read_bytes()) for r in (good, failed)
    )
    status = json.loads((failed.folder / "api/status.json").read_bytes())
    assert (after["status"], status["error"]) == ("failing", ERROR)
    assert after["spot"] == before["spot"]
    assert (failed.folder / "health/failing").is_file()
    assert set(contents(good.folder)) <= set(contents(failed.folder)) | {
        path for path in contents(good.folder) if path.startswith("health/")
    }


def test_the_good_build_after_a_failure_is_as_if_nothing_had_been(
    record: Connection, tmp_path: Path
) -> None:
    build(record, tmp_path / "hit")
    add_failed_run(record, ERROR, END_UNIX - 30)
    build(record, tmp_path / "hit")
    now_unix = add_block(record)
    after = build(record, tmp_path / "hit", now_unix)
    assert after.days_rendered == 0
    assert contents(after.folder) == contents(build(record, tmp_path / "spared", now_unix).folder)


def test_after_a_failed_run_every_file_tells_the_same_story(
    record: Connection, tmp_path: Path
) -> None:
    add_failed_run(record, ERROR, END_UNIX - 700)
    add_failed_run(record, ERROR, END_UNIX - 30)
    release = build(record, tmp_path).folder
    latest, status = (
        json.loads((release / f"api/{name}.json").read_bytes()) for name in ("latest", "status")
    )
    unreachable = [source["source"] for source in status["sources"] if not source["is_reachable"]]
    assert (latest["status"], status["status"]) == ("failing", "failing")
    assert latest["notices"][:2] == status["reasons"][:2]
    assert status["error"] == status["last_error"] == status["runs"][0]["error"] == ERROR
    assert status["failing_since_unix"] == END_UNIX - 705
    assert unreachable == ["mempool"]
    assert "nobody answers" in (release / "status/index.html").read_text()
    assert "The source mempool could not be reached." in (release / "index.html").read_text()
    assert (release / "health/failing").is_file()


def test_a_failed_run_of_a_record_that_still_serves_degrades_only(
    record: Connection, tmp_path: Path
) -> None:
    add_failed_run(record, ERROR | {"details": {"record_still_serves": True}}, END_UNIX - 30)
    release = build(record, tmp_path).folder
    status = json.loads((release / "api/status.json").read_bytes())
    assert (status["status"], status["error"]) == ("degraded", None)
    assert (status["last_error"]["code"], status["failing_since"]) == (ERROR["code"], None)
    assert not (release / "health/failing").exists()


def test_rendering_again_changes_nothing_but_the_time(record: Connection, tmp_path: Path) -> None:
    add_failed_run(record, ERROR, END_UNIX - 30)
    first = contents(build(record, tmp_path).folder)
    again = contents(build(record, tmp_path).folder)
    assert [path for path in first if first[path] != again.get(path)] == []
    assert first.keys() == again.keys()


def test_a_failure_before_the_first_build_publishes_a_site_that_has_no_data(tmp_path: Path) -> None:
    with make_history(days=0) as connection:
        add_failed_run(connection, ERROR, END_UNIX)
        report = build(connection, tmp_path)
    assert report.status == "failing"
    assert json.loads((report.folder / "api/status.json").read_bytes())["error"] == ERROR
    assert (report.folder / "index.html").is_file()


KILLED_BUILD = """
import os, signal, sys
from pathlib import Path
from builder import publish
from tests.helpers.circumstances import context
from builder.site import Output, build_site
from oracle.record.reader import open_reader

step, left = sys.argv[3], int(sys.argv[4])
real = getattr(publish, step)

def dying(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)

setattr(publish, step, dying)
with open_reader(Path(sys.argv[1])) as reader:
    build_site(reader, Output(Path(sys.argv[2]), keep_releases=int(sys.argv[6])),
    context(int(sys.argv[5])))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "after", "keep"),
    [
        ("_write_flushed", 0, 2),
        ("_write_flushed", 25, 2),
        ("_clear", 0, 2),
        ("_carry", 9, 5),
        ("sync_folder", 0, 5),
        ("point_to", 0, 2),
    ],
)
def test_a_build_killed_at_any_step_leaves_the_old_site_whole(
    prepared: Prepared, tmp_path: Path, step: str, after: int, keep: int
) -> None:
    site = shutil.copytree(prepared.site, tmp_path / "site", symlinks=True)
    old = current_release(site)
    assert old is not None
    before = contents(old)
    numbers = [str(after), str(prepared.now_unix), str(keep)]
    command = [
        sys.executable,
        "-c",
        KILLED_BUILD,
        str(prepared.database),
        str(site),
        step,
        *numbers,
    ]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert current_release(site) == old
    assert contents(old) == before
    with open_reader(prepared.database) as reader:
        report = build_site(reader, Output(site, keep_releases=keep), context(prepared.now_unix))
    assert contents(report.folder) == prepared.wanted
    assert not list((site / "releases").glob(f"{UNFINISHED}*"))


def test_the_size_of_the_database_counts_what_its_journal_still_holds(tmp_path: Path) -> None:
    database = tmp_path / "record.duckdb"
    assert describe_machine(tmp_path, database)["database_bytes"] is None
    database.write_bytes(bytes(12_000))
    assert describe_machine(tmp_path, database)["database_bytes"] == 12_000
    (tmp_path / "record.duckdb.wal").write_bytes(bytes(11_000_000))
    assert describe_machine(tmp_path, database)["database_bytes"] == 11_012_000
