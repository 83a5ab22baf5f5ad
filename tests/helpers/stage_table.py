"""The table of stages in CONTRIBUTING.md, with each module's statements.

python -m tests.helpers.stage_table     writes it anew (make stages)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.helpers.code_lines import PROJECT, code_lines

PAGE = PROJECT / "CONTRIBUTING.md"
BEGIN = "<!-- stages: written by `make stages` -->\n"
END = "<!-- end of stages -->\n"


class Stage(NamedTuple):
    """Files and folders (the longest name that fits wins), and what passes through them."""

    name: str
    places: tuple[str, ...]
    goes_in: str
    comes_out: str


STAGES = (
    Stage(
        "ask",
        ("oracle/cli", "oracle/config.py", "oracle/fields.py", "oracle/address.py",
         "oracle/wiring.py"),
        "command line, environment, `.env`",
        "checked settings; the sources, calculator and limits they name",
    ),
    Stage(
        "sources",
        ("oracle/sources", "oracle/simulated", "oracle/web.py", "oracle/lookup.py"),
        "a node, an index, a folder, or nothing",
        "headers and blocks as bytes, exchange quotes",
    ),
    Stage(
        "plan",
        ("oracle/plan.py", "oracle/chain.py", "oracle/headers.py", "oracle/branches.py"),
        "the source's tip, the record's tip",
        "which blocks to read, behind which gap; headers held to the rules of nodes",
    ),
    Stage(
        "fetch",
        ("oracle/fetch.py", "oracle/incoming.py", "oracle/dialects.py"),
        "hashes, files, or transactions as JSON",
        "`BlockFacts` of verified blocks, one after the other",
    ),
    Stage(
        "core",
        ("oracle/core",),
        "block bytes",
        "`BlockFacts`, `Window`, `WindowPrice`: the published method",
    ),
    Stage(
        "compiled",
        ("oracle/compiled.py", "oracle/openssl.py", "oracle/faster.py"),
        "block bytes, where a backfill reads many and the extra `fast` is there",
        "what the plain walk of the core finds",
    ),
    Stage(
        "estimate",
        ("oracle/estimate", "oracle/calculator.py", "oracle/answer.py"),
        "`Window`, `WindowPrice`",
        "`Estimate`, `SpotPrice`: interval, confidence, verdict; the answer of `oracle price`",
    ),
    Stage(
        "exchange",
        ("oracle/exchange", "oracle/peers"),
        "quotes, prices; what other publishers say",
        "samples, differences, episodes; who agrees",
    ),
    Stage(
        "tick",
        ("oracle/tick.py", "oracle/rows.py"),
        "plan, facts, estimates, quotes",
        "one `Batch` of rows",
    ),
    Stage(
        "backfill",
        ("oracle/backfill",),
        "the heights that the record lacks",
        "their rows, as ticks would have written them, chunk after chunk",
    ),
    Stage(
        "backup",
        ("oracle/backup",),
        "the record, a folder of copies",
        "a copy that was looked at; a record brought back and proved",
    ),
    Stage(
        "record",
        ("oracle/record", "oracle/durable.py"),
        "a `Batch`",
        "rows in DuckDB, written in one transaction; queries by name",
    ),
    Stage(
        "run",
        ("oracle/run.py", "oracle/lock.py", "oracle/told.py", "oracle/untold.py",
         "oracle/news.py", "oracle/notify.py",
         "oracle/early.py", "oracle/doctor.py", "oracle/logs.py", "oracle/masking.py",
         "oracle/remarks.py",
         "oracle/report.py", "oracle/errors.py", "oracle/failure.py", "oracle/lean.py",
         "oracle/signing.py"),
        "a tick, or what went wrong in it",
        "a recorded run; log, notifications, exit code, with every secret masked",
    ),
    Stage(
        "verify",
        ("oracle/verify", "builder/verify.py"),
        "the record, a release or somebody else's site, and the blocks of a node",
        "what matches to the last digit, what does not, and what could not be told",
    ),
    Stage(
        "api",
        ("builder/gather.py", "builder/rows.py", "builder/score_rows.py", "builder/day_rows.py",
         "builder/api"),
        "the record at one moment",
        "what `/api/` serves, as typed objects; the JSON Schemas",
    ),
    Stage(
        "data",
        ("builder/data.py", "builder/table_files.py"),
        "the record",
        "what `/data/` serves: Parquet and CSV",
    ),
    Stage(
        "pages",
        ("builder/pages",),
        "the published JSON",
        "views, charts, feeds, metrics; the templates print them",
    ),
    Stage(
        "push",
        ("builder/push",),
        "a release, a place that fsspec knows",
        "the same files there, in their order; what is over removed later",
    ),
    Stage(
        "publish",
        ("builder",),
        "all files of a site",
        "a release: drafted, flushed, renamed, linked",
    ),
)  # fmt: skip


def all_modules() -> list[str]:
    """Return every module but the `__init__.py` files, which say what a package is."""
    paths = [path for name in ("oracle", "builder") for path in (PROJECT / name).rglob("*.py")]
    names = [path.relative_to(PROJECT).as_posix() for path in paths]
    return sorted(name for name in names if not name.endswith("__init__.py"))


def places() -> list[str]:
    """Return every file and folder that the table names."""
    return [place for stage in STAGES for place in stage.places]


def modules() -> dict[str, list[str]]:
    """Return the modules of each stage: those under the longest place that fits."""
    found: dict[str, list[str]] = {stage.name: [] for stage in STAGES}
    for name in all_modules():
        fitting = [
            (len(place), stage.name)
            for stage in STAGES
            for place in stage.places
            if name == place or name.startswith(f"{place}/")
        ]
        if fitting:
            found[max(fitting)[1]].append(name)
    return found


def table() -> str:
    """Return the table as it should stand in the page."""
    head = "| stage | file | what goes in | what comes out |\n| --- | --- | --- | --- |\n"
    rows = [
        f"| {stage.name} | {'<br>'.join(_files(modules()[stage.name]))} | {stage.goes_in} "
        f"| {stage.comes_out} |\n"
        for stage in STAGES
    ]
    return head + "".join(rows)


def _files(names: list[str]) -> Iterator[str]:
    """Yield each folder once, with its modules and their statements."""
    folders: dict[str, list[str]] = {}
    for name in names:
        path = Path(name)
        folders.setdefault(path.parent.as_posix(), []).append(
            f"{path.name} {code_lines(PROJECT / name)}"
        )
    for folder, files in folders.items():
        yield f"`{folder}/`: {', '.join(files)}"


def in_the_page() -> str:
    """Return the table as it stands in the page."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the table anew."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + table() + END + after)


if __name__ == "__main__":
    main()
