"""The contract: every JSON of every kind of build is what its schema says, and the description is
true."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from builder.api import contract
from builder.api.contract import openapi, schemas
from builder.api.endpoints import REFUSALS
from builder.api.reference import TABLES, with_tables
from builder.site import Output, build_site
from oracle.record.reader import Reader
from tests.helpers.circumstances import context
from tests.helpers.made_history import END_UNIX, add_failed_run, make_history

NOT_FILES = {"/api/bad-request"}  # where nginx sends what it cannot read
ERROR = {
    "code": "SOURCE_UNAVAILABLE",
    "message": "nobody answers",
    "retry_after": 300,
    "details": {"attempts": 3},
}
SCHEMA_OF = {
    r"api/(latest|days|scorecard|episodes|peers|price-months|status|window|manifest)\.json": r"\1",
    r"api/history/\w+\.json": "history",
    r"api/days/[\d-]+\.json": "day",
    r"api/compat/prices-latest\.json": "compat-latest",
    r"api/compat/(historical|comparison)-\d+\.json": r"compat-\1",
    r"api/compat/(mempool-[\w-]+)\.json": r"\1",
    r"api/compat/price-at/10{4,5}/\d+\.json": "mempool-historical-price",
}
RECORDS: dict[str, dict[str, Any]] = {
    "ordinary": {"days": 3, "network": "main"},
    "divergent": {"days": 2, "percent_off": 3.2, "network": "main"},
    "unsure": {"days": 2, "last_spot_is_valid": False, "network": "main"},
    "simulated": {"days": 2},
    "regtest": {"days": 2, "network": "regtest"},
    "without exchange": {"days": 2, "exchange": False},
    "young": {"days": 0.02},
    "empty": {"days": 0},
}
FORMATS = Draft202012Validator.FORMAT_CHECKER
Site = Callable[[str], Path]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Build the site of a record once."""
    built: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in built:
            output = Output(
                tmp_path_factory.mktemp("site"), public_url="https://price.example.org/"
            )
            with make_history(outputs_per_block=20, **RECORDS[name]) as connection:
                built[name] = build_site(Reader(connection), output, context(END_UNIX)).folder
        return built[name]

    return build


def read(release: Path, path: str) -> Any:
    return json.loads((release / path).read_bytes())


def json_files(release: Path) -> list[str]:
    paths = (str(p.relative_to(release)) for p in (release / "api").rglob("*.json"))
    return sorted(p for p in paths if not p.startswith("api/schema/") and p != "api/openapi.json")


def problems(release: Path, path: str) -> list[str]:
    """What in a file is not as its schema says; a file without a schema is a problem."""
    names = [
        m.expand(name) for pattern, name in SCHEMA_OF.items() if (m := re.fullmatch(pattern, path))
    ]
    if not names:
        return [f"{path}: no schema"]
    checks = Draft202012Validator(schemas()[names[0]], format_checker=FORMATS)
    found = checks.iter_errors(read(release, path))
    return [f"{path} {list(error.absolute_path)}: {error.message[:200]}" for error in found]


@pytest.mark.parametrize("name", RECORDS)
def test_every_json_of_a_build_is_as_its_schema_says(site: Site, name: str) -> None:
    release = site(name)
    assert [problem for path in json_files(release) for problem in problems(release, path)] == []


def test_the_files_of_a_failed_run_are_as_their_schemas_say(tmp_path: Path) -> None:
    with make_history(days=0) as connection:
        add_failed_run(connection, ERROR, END_UNIX)
        reader = Reader(connection)
        release = build_site(reader, Output(tmp_path), context(END_UNIX)).folder
    assert [problem for path in json_files(release) for problem in problems(release, path)] == []
    assert list(Draft202012Validator(schemas()["error"]).iter_errors({"error": ERROR})) == []


@pytest.mark.parametrize("name", schemas())
def test_every_schema_is_a_schema_and_says_what_it_is_about(name: str) -> None:
    Draft202012Validator.check_schema(schemas()[name])
    assert schemas()[name]["title"]
    assert schemas()[name]["$id"] == f"{name}.json"


def test_a_price_below_zero_is_refused_by_the_schema(site: Site) -> None:
    latest = read(site("ordinary"), "api/latest.json")
    latest["spot"]["price_usd"] = -1
    assert list(Draft202012Validator(schemas()["latest"]).iter_errors(latest))


def test_an_unknown_key_is_refused_by_the_schema(site: Site) -> None:
    latest = read(site("ordinary"), "api/latest.json") | {"surprise": 1}
    assert list(Draft202012Validator(schemas()["latest"]).iter_errors(latest))


def test_the_description_of_the_api_is_valid() -> None:
    validate(openapi("https://price.example.org"))


def test_the_tables_of_the_documentation_are_what_the_types_say() -> None:
    text = (Path(__file__).parents[2] / "docs/api.md").read_text()
    assert text == with_tables(text)
    assert set(re.findall(r"<!-- table: (\w+) -->", text)) == set(TABLES)


def test_every_refusal_of_nginx_is_described_in_its_words() -> None:
    config = (Path(__file__).parents[2] / "deploy/nginx/oracle.conf").read_text()
    codes = re.search(r"map \$status \$oracle_error_code \{(.*?)\}", config, re.DOTALL)
    assert codes
    said = {int(status): code for status, code in re.findall(r"(\d{3})\s+(\w+);", codes[1])}
    described = {status: words.split(":")[0] for status, words in REFUSALS.items()}
    assert described == {**said, 500: "INTERNAL_ERROR"}
    assert "INVALID_DAYS" in config
    assert "BUILDS_STOPPED" in config


def test_every_compatible_spelling_of_nginx_is_described() -> None:
    config = (Path(__file__).parents[2] / "deploy/nginx/oracle.conf").read_text()
    spellings = re.findall(r"location = (/\S+) \{", config)
    served = [path for path in spellings if not path.startswith("/404")]
    assert len(served) > 6
    assert set(served) - NOT_FILES <= set(openapi(None)["paths"])


def test_every_operation_says_how_it_may_refuse() -> None:
    operations = [path["get"] for path in openapi(None)["paths"].values()]
    for_programs = [one for one in operations if one["tags"] != ["Feeds"]]
    assert all(set(map(str, REFUSALS)) <= set(one["responses"]) for one in for_programs)


def test_every_class_of_the_contract_has_words_and_a_short_name() -> None:
    made = openapi(None)["components"]["schemas"]
    objects = {name: schema for name, schema in made.items() if schema["type"] == "object"}
    assert all(schema["title"] == name for name, schema in objects.items())
    assert [name for name, schema in objects.items() if not schema.get("description")] == []
    assert max(map(len, made)) <= len("PricesComparison")


def test_every_moment_is_a_date_time_and_every_unknown_key_is_refused() -> None:
    made = openapi(None)["components"]["schemas"]
    fields = [
        (name, key, json.dumps(field))
        for name, schema in made.items()
        for key, field in schema.get("properties", {}).items()
    ]
    moments = [field for _, key, field in fields if key.endswith("_at") or key == "timestamp"]
    assert len(moments) > 10
    assert all('"date-time"' in field for field in moments)
    objects = {name: schema for name, schema in made.items() if schema["type"] == "object"}
    open_ones = [name for name, schema in objects.items() if schema["additionalProperties"]]
    assert open_ones == ["ErrorObject"]


def test_the_published_description_names_the_public_address(site: Site) -> None:
    assert read(site("ordinary"), "api/openapi.json")["servers"] == [
        {"url": "https://price.example.org"}
    ]


def test_the_description_is_carried_over_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_history(days=0) as connection:
        build_site(Reader(connection), Output(tmp_path), context())
        monkeypatch.setattr(contract, "schemas", lambda: 1 / 0)
        again = build_site(Reader(connection), Output(tmp_path), context()).folder
        with pytest.raises(ZeroDivisionError):
            moved = Output(tmp_path, public_url="https://elsewhere.example.org")
            build_site(Reader(connection), moved, context())
    assert read(again, "api/openapi.json")["servers"] == [{"url": "/"}]


@pytest.mark.parametrize("name", ["openapi.json", "schema/latest.json"])
def test_a_part_of_the_description_that_is_lost_is_made_anew(tmp_path: Path, name: str) -> None:
    with make_history(days=0) as connection:
        first = build_site(Reader(connection), Output(tmp_path), context()).folder
        published = sorted(path.name for path in first.glob("api/schema/*.json"))
        whole = (first / "api" / name).read_bytes()
        (first / "api" / name).unlink()
        again = build_site(Reader(connection), Output(tmp_path), context()).folder
    assert (again / "api" / name).read_bytes() == whole
    assert sorted(path.name for path in again.glob("api/schema/*.json")) == published


def test_every_json_path_of_the_description_is_a_published_file(site: Site) -> None:
    release = site("ordinary")
    described = [path for path in openapi("")["paths"] if path.startswith(("/api/", "/data/"))]
    fixed = [path for path in described if "{" not in path and "." in path.rpartition("/")[2]]
    assert len(fixed) > 10
    assert [path for path in fixed if not (release / path[1:]).is_file()] == []


def test_every_published_json_is_in_the_description(site: Site) -> None:
    known = [re.sub(r"\{\w+\}", "[^/]+", path[1:]) for path in openapi("")["paths"]]
    files = [path for path in json_files(site("ordinary")) if "/compat/" not in path]
    assert [
        path for path in files if not any(re.fullmatch(pattern, path) for pattern in known)
    ] == []


def test_every_file_says_what_it_is_and_when_it_was_put_together(site: Site) -> None:
    release = site("simulated")
    heads = [read(release, path) for path in json_files(release) if "/compat/" not in path]
    assert {(h["schema_version"], h["network"], h["is_demo"]) for h in heads} == {
        (1, "simulated", True)
    }
    assert all(h["generated_at_unix"] <= END_UNIX for h in heads)


@pytest.mark.parametrize("name", ["ordinary", "divergent", "empty"])
def test_no_number_in_any_file_is_infinite_or_nan(site: Site, name: str) -> None:
    release = site(name)
    texts = [(release / path).read_text() for path in json_files(release)]
    assert not [text for text in texts if re.search(r"\b(NaN|Infinity)\b", text)]


def test_the_dashboards_json_is_small_on_the_wire(tmp_path: Path) -> None:
    with make_history(days=8, outputs_per_block=0) as connection:
        release = build_site(Reader(connection), Output(tmp_path), context(END_UNIX)).folder
    assert read(release, "api/history/7d.json")["rows"] == 1008
    sizes = [(release / f"api/{name}.json.gz").stat().st_size for name in ("latest", "history/7d")]
    assert sum(sizes) < 60_000


# The compatible spellings


def test_the_latest_entry_is_the_newest_tick(site: Site) -> None:
    release = site("divergent")
    entry, latest = read(release, "api/compat/prices-latest.json"), read(release, "api/latest.json")
    assert entry["utxoracle_price"] == pytest.approx(latest["spot"]["price_usd"], abs=0.006)
    assert entry["mempool_price"] == pytest.approx(latest["exchange"]["price_usd"], abs=0.006)
    assert entry["diff_percent"] == pytest.approx(latest["divergence"]["spot_percent"], abs=0.001)
    assert entry["is_valid"] is True


def test_historical_entries_are_oldest_first_and_end_with_the_latest(site: Site) -> None:
    release = site("ordinary")
    entries = read(release, "api/compat/historical-7.json")
    assert entries == sorted(entries, key=lambda entry: entry["timestamp"])
    assert entries[-1] == read(release, "api/compat/prices-latest.json")


def test_the_comparison_is_over_valid_entries(site: Site) -> None:
    release = site("unsure")
    entries, comparison = (
        read(release, f"api/compat/{name}-1.json") for name in ("historical", "comparison")
    )
    valid = [entry["diff_amount"] for entry in entries if entry["is_valid"]]
    assert comparison["total_entries"] == len(entries) > comparison["valid_entries"] == len(valid)
    assert comparison["avg_diff"] == pytest.approx(sum(valid) / len(valid), abs=0.01)
    assert (comparison["max_diff"], comparison["min_diff"]) == (max(valid), min(valid))


def test_wallets_get_the_spot_price_in_mempools_shape(site: Site) -> None:
    release = site("ordinary")
    price, latest = (
        read(release, "api/compat/mempool-prices.json"),
        read(release, "api/latest.json"),
    )
    assert (price["time"], price["USD"]) == (
        latest["tip"]["time_unix"],
        round(latest["spot"]["price_usd"], 2),
    )
    quote = latest["exchange"]
    rate = quote["currencies"]["EUR"] / quote["price_usd"]
    assert price["EUR"] == pytest.approx(latest["spot"]["price_usd"] * rate, abs=0.006)
    assert {price[code] for code in ("GBP", "CAD", "CHF", "AUD", "JPY")} == {-1}


@pytest.mark.parametrize("name", ["unsure", "empty", "simulated", "regtest"])
def test_without_a_valid_price_of_real_bitcoin_wallets_get_what_mempool_gives_then(
    site: Site, name: str
) -> None:
    price = read(site(name), "api/compat/mempool-prices.json")
    assert price.pop("time") == 0
    assert set(price.values()) == {-1}


@pytest.mark.parametrize("name", ["simulated", "regtest"])
def test_programs_that_know_no_test_networks_get_no_price_of_one(site: Site, name: str) -> None:
    release = site(name)
    assert read(release, "api/compat/prices-latest.json")["utxoracle_price"] is None
    assert read(release, "api/compat/historical-7.json") == []
    assert read(release, "api/compat/comparison-7.json")["total_entries"] == 0
    assert not (release / "api/compat/mempool-historical-price.json").exists()
    assert not (release / "api/compat/price-at").exists()


def test_the_price_of_a_time_is_the_newest_valid_one_at_or_before_it(site: Site) -> None:
    release = site("ordinary")
    with make_history(outputs_per_block=20, **RECORDS["ordinary"]) as connection:
        priced = connection.execute(
            "SELECT time_unix, spot_usd FROM prices WHERE spot_is_valid ORDER BY height"
        ).fetchall()
    files = sorted((release / "api/compat/price-at").rglob("*.json"))
    ends = {path.parent.name: path for path in files}
    assert {int(path.stem) for path in ends.values()} == {
        END_UNIX // 10_000 + 1,
        END_UNIX // 100_000 + 1,
    }
    for path in files:
        at_unix = int(path.stem) * int(path.parent.name)
        [row] = json.loads(path.read_bytes())["prices"]
        expected = [moment for moment in priced if moment[0] <= at_unix][-1]
        assert (row["time"], row["USD"]) == (expected[0], round(expected[1], 2))
        assert row["EUR"] == pytest.approx(row["USD"] * 0.92, rel=0.001)
    assert len(files) > 3 * 86_400 // 10_000


def test_the_daily_history_is_newest_first_with_each_days_price_from_its_midnight(
    site: Site,
) -> None:
    release = site("ordinary")
    history, days = (
        read(release, "api/compat/mempool-historical-price.json"),
        read(release, "api/days.json")["days"],
    )
    assert [row["USD"] for row in history["prices"]] == [
        round(day["price_usd"], 2) for day in days
    ][::-1]
    assert all(row["time"] % 86_400 == 0 for row in history["prices"])
    assert history["exchangeRates"] == {"USDEUR": 0.92}


# Feeds, badge, metrics, sitemap


def test_the_feed_has_final_days_and_episodes_with_permanent_names(site: Site) -> None:
    feed = ET.fromstring((site("divergent") / "feed.atom").read_text())
    space = {"a": "http://www.w3.org/2005/Atom"}
    titles = [e.text or "" for e in feed.findall("a:entry/a:title", space)]
    names = [e.text for e in feed.findall("a:entry/a:id", space)]
    assert any(title.startswith("2025-10-08: $") for title in titles)
    assert any(title.startswith("Large divergence") and "goes on" in title for title in titles)
    assert len(set(names)) == len(names)


def test_the_json_feed_has_the_same_entries(site: Site) -> None:
    feed = read(site("divergent"), "feed.json")
    atom = ET.fromstring((site("divergent") / "feed.atom").read_text())
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert len(feed["items"]) == len(atom.findall("{http://www.w3.org/2005/Atom}entry"))


def test_a_feed_of_simulated_data_says_so(site: Site) -> None:
    assert "simulated" in read(site("simulated"), "feed.json")["title"]
    assert "simulated" not in read(site("ordinary"), "feed.json")["title"]


def test_the_badge_shows_price_and_divergence_in_words_for_screen_readers_too(site: Site) -> None:
    release = site("divergent")
    latest, badge = (
        read(release, "api/latest.json"),
        ET.fromstring((release / "badge.svg").read_text()),
    )
    price, percent = latest["spot"]["price_usd"], latest["divergence"]["headline_percent"]
    assert badge.attrib["aria-label"] == f"on-chain BTC: ${price:,.0f} {percent:+.1f}%"
    simulated = ET.fromstring((site("simulated") / "badge.svg").read_text())
    assert simulated.attrib["aria-label"].startswith("simulated BTC: ")


def test_the_badge_without_a_price_says_no_price(site: Site) -> None:
    assert "no price" in (site("empty") / "badge.svg").read_text()


def sampled(release: Path) -> dict[str, float]:
    """Return the value of each sample, as Prometheus' own parser reads it."""
    families = text_string_to_metric_families((release / "metrics.txt").read_text())
    samples = [sample for family in families for sample in family.samples]
    return {
        f"{sample.name}{''.join(f'{{{k}={v}}}' for k, v in sample.labels.items())}": sample.value
        for sample in samples
    }


def test_metrics_are_prometheus_text_with_the_facts_of_latest(site: Site) -> None:
    release = site("divergent")
    samples, latest = sampled(release), read(release, "api/latest.json")
    assert samples["oracle_price_usd{kind=spot}"] == latest["spot"]["price_usd"]
    assert samples["oracle_tip_height"] == latest["tip"]["height"]
    assert samples["oracle_divergence_large"] == 1
    assert samples["oracle_status{status=ok}"] == 1


def test_metrics_are_gauges_with_a_word_of_help(site: Site) -> None:
    text = (site("divergent") / "metrics.txt").read_text()
    families = list(text_string_to_metric_families(text))
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation for family in families)


def test_metrics_leave_out_what_is_unknown(site: Site) -> None:
    samples = sampled(site("empty"))
    assert not [name for name in samples if name.startswith("oracle_price_usd")]
    assert samples["oracle_status{status=failing}"] == 1


def test_the_sitemap_lists_pages_and_days_at_the_public_address(site: Site) -> None:
    places = [
        e.text
        for e in ET.fromstring((site("ordinary") / "sitemap.xml").read_text()).iter()
        if e.tag.endswith("loc")
    ]
    assert places[0] == "https://price.example.org/"
    assert "https://price.example.org/days/2025-10-08/" in places
    assert (
        "Sitemap: https://price.example.org/sitemap.xml"
        in (site("ordinary") / "robots.txt").read_text()
    )
