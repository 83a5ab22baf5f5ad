"""Health: sources, runs, the last error, episodes, gaps, the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from builder.pages.filters import pretty, sentence, share, utc, whole
from builder.pages.site import Site
from builder.pages.views.frame import Frame, frame_of
from builder.pages.views.parts import Notice, Tag, plural
from builder.pages.views.peers import PeerLine, peer_lines

if TYPE_CHECKING:
    from builder.api.types import BackfillState, Episode, Gap, Machine, Run, SourceState, Status

TITLE = "Status · On-chain Bitcoin price"
DESCRIPTION = (
    "Health of the on-chain Bitcoin price: sources, last runs, gaps, last error, episodes."
)
STATUS_WORDS = {
    "ok": "Everything works.",
    "degraded": "Prices are there, with a warning.",
    "stale": "Builds or blocks have stopped coming; the numbers are old.",
    "failing": "The last run failed, or there is no data yet.",
}
EPISODE_WORDS = {
    "divergence": "large divergence",
    "low_confidence": "low confidence",
    "peer_differs": "another publisher differs",
}
TOLD_APART = ("copied_at_unix", "backfill")
BACKFILL_MOVES_SECONDS = 3600
"""Chunks take minutes, on a slow machine too."""

BYTES_SUFFIX = "_bytes"
GIGABYTES_FROM_BYTES = 1e8
GIGABYTE_BYTES = 1e9
MEGABYTE_BYTES = 1e6


class SourceRow(NamedTuple):
    """A source of blocks."""

    source: SourceState
    state: Tag
    last_success_unix: int | None
    advice: str | None


class ErrorView(NamedTuple):
    """The last error, also as it is published."""

    at_unix: int | None
    message: str
    example: str


class RunRow(NamedTuple):
    """A run of the oracle."""

    run: Run
    outcome: Tag
    took_seconds: int


class EpisodeRow(NamedTuple):
    """An episode of large divergence or low confidence."""

    episode: Episode
    kind: str


class StatusView(NamedTuple):
    """All that the status page says; `machine` is (name, words)."""

    frame: Frame
    status: Status
    words: str
    now_unix: int
    has_reasons: bool
    reasons: Sequence[Notice]
    tip_time_unix: int | None
    last_success_unix: int | None
    gaps_words: str
    sources: Sequence[SourceRow]
    error: ErrorView | None
    runs: Sequence[RunRow]
    episodes_rule: str
    episodes: Sequence[EpisodeRow]
    episode_kinds: Sequence[str]
    peers: Sequence[PeerLine]
    machine: Sequence[tuple[str, str]]


def status_view(site: Site) -> StatusView:
    """Return the view of the status page."""
    status = site.objects.status
    success_unix = status["last_success_at_unix"]
    episodes = [
        EpisodeRow(episode, EPISODE_WORDS[episode["kind"]])
        for episode in site.objects.episodes["episodes"]
    ]
    return StatusView(
        frame=frame_of(site, title=TITLE, description=DESCRIPTION, section="/status/"),
        status=status,
        words=STATUS_WORDS[status["status"]],
        now_unix=site.now_unix,
        has_reasons=bool(status["reasons"]),
        reasons=_reasons(status),
        tip_time_unix=status["tip"]["time_unix"] if status["tip"] else None,
        last_success_unix=success_unix,
        gaps_words=_gaps_words(status["gaps"]),
        sources=[_source(source) for source in status["sources"]],
        error=_error(status),
        runs=[_run(run) for run in status["runs"]],
        episodes_rule=sentence(site.objects.episodes["rule"]),
        episodes=episodes,
        episode_kinds=sorted({row.kind for row in episodes}),
        peers=peer_lines(site),
        machine=_machine(status["machine"], status["generated_at_unix"]),
    )


def _reasons(status: Status) -> list[Notice]:
    return [
        Notice("", reason["severity"], "", reason["message"])
        for reason in status["reasons"]
        if reason["code"] not in {"simulated", "test_network"}
    ]


def _gaps_words(gaps: Sequence[Gap]) -> str:
    return f"{len(gaps)} {plural(len(gaps), 'gap')}" if gaps else "no gaps"


def _source(source: SourceState) -> SourceRow:
    if not source["is_reachable"]:
        state = Tag("failing", "unreachable")
    elif source.get("state") in {"refused", "bad_answer"}:
        state = Tag("failing", "gives no blocks")
    elif source["is_synced"] is False:
        state = Tag("degraded", "still syncing")
    else:
        state = Tag("ok", "reachable")
    success_unix = source["last_success_at_unix"]
    return SourceRow(
        source=source,
        state=state,
        last_success_unix=success_unix,
        advice=" ".join(source["advice"]) or None,
    )


def _error(status: Status) -> ErrorView | None:
    error = status["last_error"]
    if not error:
        return None
    return ErrorView(status["last_error_at_unix"], error["message"], pretty({"error": error}))


def _run(run: Run) -> RunRow:
    kind = "failing" if run["outcome"] == "failed" else "ok"
    outcome = Tag(kind, run["outcome"].replace("_", " "))
    return RunRow(run, outcome, run["ended_at_unix"] - run["started_at_unix"])


def _machine(machine: Machine, now_unix: int) -> list[tuple[str, str]]:
    facts = {name: value for name, value in machine.items() if name not in TOLD_APART}
    known = ((name, value) for name, value in facts.items() if value is not None)
    told = [(_machine_name(name), _machine_words(name, value)) for name, value in known]
    if copied_at_unix := machine.get("copied_at_unix"):
        told.append(("Newest copy", utc(copied_at_unix)))
    if backfill := machine.get("backfill"):
        told.append(("Backfill", _backfill(backfill, now_unix)))
    return told


def _backfill(state: BackfillState, now_unix: int) -> str:
    """Say how far a backfill is; one that has not moved for long was stopped."""
    done = state["blocks_done"]
    wanted = state["blocks_wanted"]
    where = f", at {state['day']}" if state["day"] else ""
    is_over = now_unix - state["updated_at_unix"] > BACKFILL_MOVES_SECONDS
    when = f"; stopped, last moved {utc(state['updated_at_unix'])}" if is_over else ""
    return f"{whole(done)} of {whole(wanted)} blocks ({share(done / (wanted or 1))}){where}{when}"


def _machine_name(name: str) -> str:
    return name.replace(BYTES_SUFFIX, "").replace("_", " ").capitalize()


def _machine_words(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return _pairs(value.items())
    if isinstance(value, int) and name.endswith(BYTES_SUFFIX):
        if value >= GIGABYTES_FROM_BYTES:
            return f"{value / GIGABYTE_BYTES:,.1f} GB"
        return f"{value / MEGABYTE_BYTES:,.2f} MB"
    return str(value)


def _pairs(pairs: Iterable[tuple[object, object]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in pairs)
