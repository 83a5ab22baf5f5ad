"""What lies among the releases and should not: damage, strangers, leftovers, wrong modes."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.draft import Draft
from builder.publish import publish
from builder.releases import (
    MANIFEST,
    DamagedReleaseError,
    current_release,
    releases,
    rollback,
    verify,
)
from oracle.errors import NoDataError

PAGE = b"<p>all work and no play</p>" * 100
DATA = b"0123456789" * 1000
FILES = {"index.html": PAGE, "data/prices.parquet": DATA, "api/days/2025-10-07.json": DATA}
Damage = Callable[[Path], object]


def release(site: Path, files: dict[str, bytes] = FILES, keep: int = 3) -> Path:
    """Publish files, each made from the same things as ever."""
    draft = Draft(current_release(site))
    for path, data in files.items():
        draft.once(path, "the same things", lambda data=data: data)  # type: ignore[misc]
    return publish(site, draft, {"build_id": "x"}, keep=keep)


def is_true(folder: Path) -> bool:
    """Whether every file of a release is there and has the hash that its manifest says."""
    entries = json.loads((folder / MANIFEST).read_bytes())["files"]
    return [entry["sha256"] for entry in entries] == [
        hashlib.sha256((folder / entry["path"]).read_bytes()).hexdigest() for entry in entries
    ]


def same_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


DAMAGES: dict[str, Damage] = {
    "a file is gone": lambda current: (current / "data/prices.parquet").unlink(),
    "a file was cut": lambda current: os.truncate(current / "data/prices.parquet", 17),
    "a file was changed": lambda current: (current / "index.html").write_bytes(PAGE[::-1]),
    "a file was changed without a trace": lambda current: same_size_and_time(
        current / "data/prices.parquet"
    ),
    "a file is a folder": lambda current: (
        (current / "index.html").unlink(),
        (current / "index.html").mkdir(),
    ),
    "a file is a link": lambda current: (
        (current / "index.html").unlink(),
        (current / "index.html").symlink_to("/etc/hostname"),
    ),
    "a twin is gone": lambda current: (current / "index.html.gz").unlink(),
    "a twin is of something else": lambda current: (current / "index.html.gz").write_bytes(
        gzip.compress(b"lies")
    ),
    "the manifest is gone": lambda current: (current / MANIFEST).unlink(),
    "the manifest was cut": lambda current: os.truncate(current / MANIFEST, 40),
    "the manifest is empty": lambda current: os.truncate(current / MANIFEST, 0),
    "the manifest is of another shape": lambda current: (current / MANIFEST).write_bytes(
        b'{"files":[1]}\n'
    ),
    "the manifest lists nothing": lambda current: (current / MANIFEST).write_bytes(
        b'{"files":[],"build_id":"x"}\n'
    ),
    "the manifest leads out of the release": lambda current: (current / MANIFEST).write_bytes(
        (current / MANIFEST).read_bytes().replace(b"data/prices.parquet", b"../../../etc/passwd")
    ),
    "the manifest is no text": lambda current: (current / MANIFEST).write_bytes(b"\xff\xfe\x00"),
    "the folder is empty": lambda current: os.system(f"rm -r {current} && mkdir {current}"),
    "the folder is gone": lambda current: os.system(f"rm -r {current}"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
@pytest.mark.parametrize("keep", [2, 5])
def test_the_release_after_damage_is_whole(tmp_path: Path, damage: Damage, keep: int) -> None:
    for _ in range(3):  # so that with two kept one is made over
        current = release(tmp_path, keep=keep)
    damage(current)
    newest = release(tmp_path, keep=keep)
    assert current_release(tmp_path) == newest
    assert is_true(newest)
    assert {path: (newest / path).read_bytes() for path in FILES} == FILES
    assert gzip.decompress((newest / "index.html.gz").read_bytes()) == PAGE


@pytest.mark.parametrize("name", ["a file is gone", "a file was changed", "a twin is gone"])
def test_damage_in_the_release_that_is_made_over_is_not_carried_on(
    tmp_path: Path, name: str
) -> None:
    for number in range(2):
        release(tmp_path, FILES | {"index.html": PAGE + bytes([number])}, keep=2)
    for path in FILES:  # the oldest gets files of its own
        file = releases(tmp_path)[0] / path
        data = file.read_bytes()
        file.unlink()
        file.write_bytes(data)
    DAMAGES[name](releases(tmp_path)[0])
    assert is_true(release(tmp_path, keep=2))


@pytest.mark.parametrize("name", DAMAGES)
def test_one_does_not_go_back_to_a_damaged_release(tmp_path: Path, name: str) -> None:
    first = release(tmp_path)
    second = release(tmp_path, {"other.html": PAGE})
    DAMAGES[name](first)
    with pytest.raises((DamagedReleaseError, NoDataError)):
        rollback(tmp_path)
    assert current_release(tmp_path) == second


STRANGERS: dict[str, Damage] = {
    "an empty folder": lambda folder: (folder / "backup").mkdir(),
    "a folder of somebody": lambda folder: (
        (folder / "zzz").mkdir(),
        (folder / "zzz" / "diary.txt").write_text("dear diary"),
    ),
    "a file": lambda folder: (folder / "notes.txt").write_text("mine"),
    "a link to a folder": lambda folder: (folder / "elsewhere").symlink_to("/tmp"),
    "a link to nothing": lambda folder: (folder / "nowhere").symlink_to("/does/not/exist"),
    "a release of no files": lambda folder: (
        (folder / "00000099-x" / "api").mkdir(parents=True),
        (folder / "00000099-x" / MANIFEST).write_text('{"files": []}'),
    ),
    "a folder with a high number": lambda folder: (folder / "99999998-x").mkdir(),
}


@pytest.mark.parametrize("plant", STRANGERS.values(), ids=list(STRANGERS))
def test_what_is_no_release_is_set_aside_and_the_build_goes_on(
    tmp_path: Path, plant: Damage
) -> None:
    release(tmp_path)
    before = {path.name for path in (tmp_path / "releases").iterdir()}
    plant(tmp_path / "releases")
    (stranger,) = {path.name for path in (tmp_path / "releases").iterdir()} - before
    newest = release(tmp_path)
    assert current_release(tmp_path) == newest
    assert stranger not in {path.name for path in (tmp_path / "releases").iterdir()}
    assert os.path.lexists(tmp_path / "set-aside" / stranger)


def test_a_folder_where_the_link_should_be_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_bytes(b"somebody's own site")
    newest = release(tmp_path)
    assert current_release(tmp_path) == newest
    assert (tmp_path / "set-aside/public/index.html").read_bytes() == b"somebody's own site"


def test_a_file_where_the_releases_should_be_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "releases").write_bytes(b"?")
    assert is_true(release(tmp_path))


def test_a_link_to_nothing_where_the_releases_should_be_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "releases").symlink_to("not-there")
    assert is_true(release(tmp_path))


@pytest.mark.parametrize("target", ["public", "releases/not-there", "not-there", "."])
def test_a_link_that_leads_to_no_release_is_made_anew(tmp_path: Path, target: str) -> None:
    release(tmp_path)
    (tmp_path / "public").unlink()
    (tmp_path / "public").symlink_to(target)
    assert current_release(tmp_path) is None
    assert release(tmp_path) == current_release(tmp_path)


@pytest.mark.parametrize("name", ["99999999-x", "20991231-copy", "12345678901234567890-x"])
def test_the_number_of_a_stranger_does_not_count(tmp_path: Path, name: str) -> None:
    release(tmp_path)
    (tmp_path / "releases" / name).mkdir()
    made = [release(tmp_path) for _ in range(2)]
    assert [path.name[:9] for path in made] == ["00000002-", "00000003-"]
    assert rollback(tmp_path) == made[0]


def test_a_stranger_in_a_release_is_not_published_again(tmp_path: Path) -> None:
    for number in range(2):
        release(tmp_path, FILES | {"index.html": PAGE + bytes([number])}, keep=2)
    oldest = releases(tmp_path)[0]
    (oldest / "secrets.txt").symlink_to("/etc/hostname")
    (oldest / "api" / "mine.json").write_text("{}")
    newest = release(tmp_path, keep=2)
    assert not (newest / "secrets.txt").is_symlink()
    assert not (newest / "api" / "mine.json").exists()
    assert {path.name for path in (tmp_path / "set-aside").iterdir()} == {
        "secrets.txt",
        "mine.json",
    }


def test_a_leftover_that_cannot_be_removed_holds_up_no_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(tmp_path)
    leftover = tmp_path / "releases" / ".tmp-left"
    leftover.mkdir()

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr("builder.releases.shutil.rmtree", refuse)
    assert is_true(release(tmp_path))
    assert (tmp_path / "set-aside" / ".tmp-left").is_dir()


def test_a_file_called_as_the_folder_of_things_set_aside_is_left_alone(tmp_path: Path) -> None:
    release(tmp_path)
    (tmp_path / "set-aside").write_text("mine")
    (tmp_path / "releases" / "strange").mkdir()
    assert is_true(release(tmp_path))
    assert (tmp_path / "set-aside").read_text() == "mine"
    assert (tmp_path / "set-aside-2" / "strange").is_dir()


def test_a_pipe_in_place_of_a_manifest_holds_up_no_build(tmp_path: Path) -> None:
    current = release(tmp_path)
    (current / MANIFEST).unlink()
    os.mkfifo(current / MANIFEST)
    assert is_true(release(tmp_path))
    assert not current.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_unfinished_things_of_any_kind_are_removed(tmp_path: Path, kind: str) -> None:
    release(tmp_path)
    for path in (tmp_path / ".tmp-public", tmp_path / "releases" / ".tmp-x"):
        {
            "file": lambda path=path: path.write_bytes(b"half"),
            "folder": lambda path=path: (path / "deep").mkdir(parents=True),
            "link": lambda path=path: path.symlink_to("/does/not/exist"),
        }[kind]()
    release(tmp_path)
    assert not list(tmp_path.glob(".tmp-*")) + list((tmp_path / "releases").glob(".tmp-*"))


def test_releases_are_in_the_order_in_which_they_were_made_whatever_the_clock_said(
    tmp_path: Path,
) -> None:
    for build_id in ("20290101T000000Z-5-x", "20260101T000000Z-6-x", "20270101T000000Z-7-x"):
        draft = Draft(current_release(tmp_path))
        draft.add("index.html", build_id.encode())
        publish(tmp_path, draft, {"build_id": build_id})
    assert rollback(tmp_path).name == "00000002-20260101T000000Z-6-x"
    assert rollback(tmp_path).name == "00000001-20290101T000000Z-5-x"


def test_a_site_may_be_given_by_a_path_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    site = Path("site")
    for number in range(3):
        release(site, FILES | {"index.html": PAGE + bytes([number])}, keep=3)
    assert rollback(site).name == "00000002-x"
    assert rollback(site).name == "00000001-x"
    release(site, keep=3)  # the oldest was in force: it is not made over
    assert [path.name for path in releases(site)] == ["00000002-x", "00000003-x", "00000004-x"]


def test_releases_of_before_there_were_numbers_come_first(tmp_path: Path) -> None:
    newest = release(tmp_path)
    newest.rename(tmp_path / "releases" / "20291231T000000Z-1-x")
    newest = release(tmp_path)
    assert [path.name for path in releases(tmp_path)] == ["20291231T000000Z-1-x", newest.name]


@pytest.fixture(params=[0o000, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask")
def test_the_web_server_can_read_what_is_published_and_nobody_else_can_write_it(
    tmp_path: Path,
) -> None:
    site = tmp_path / "site"
    for _ in range(3):
        newest = release(site, FILES, keep=2)
    folders = {path for path in [newest, *newest.rglob("*")] if path.is_dir()}
    files = {path for path in newest.rglob("*") if path.is_file()}
    assert {path.stat().st_mode & 0o777 for path in {site, site / "releases", *folders}} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o644}


@pytest.mark.parametrize(("before", "after"), [(0o700, 0o755), (0o750, 0o750), (0o711, 0o711)])
def test_a_site_that_nobody_may_enter_is_opened_and_another_mode_is_heeded(
    tmp_path: Path, before: int, after: int
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    site.chmod(before)
    release(site)
    assert site.stat().st_mode & 0o777 == after


def test_a_release_made_under_another_umask_is_opened_when_it_is_made_over(tmp_path: Path) -> None:
    for number in range(2):
        release(tmp_path, FILES | {"index.html": PAGE + bytes([number])}, keep=2)
    oldest = releases(tmp_path)[0]
    for path in [oldest, *oldest.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    newest = release(tmp_path, keep=2)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in newest.rglob("*")}
    assert modes == {(True, 0o755), (False, 0o644)}


def test_a_whole_release_is_found_to_be_whole(tmp_path: Path) -> None:
    verify(release(tmp_path))
