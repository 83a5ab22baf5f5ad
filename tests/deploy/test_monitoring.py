"""What Prometheus is told to wake people for, by Prometheus' own tool: each alert is raised by what
it is for, by nothing else, and by no number that a site does not publish."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder.pages.metrics import metrics
from tests.deploy.running_nginx import DEPLOY
from tests.helpers.code_lines import PROJECT
from tests.helpers.page_samples import snapshots

FOLDER = DEPLOY / "prometheus"
ALERTS = FOLDER / "alerts.yml"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
}
TOOLS = str(Path(sys.prefix) / "tools/usr/bin")  # where .ci/setup puts it
AT = "8h"  # when each test looks, in a series of ten minutes a step
# A value a step: `0+600x60` is a time that goes on, `1x60` stays.
WELL = {
    'up{job="oracle"}': "1x60",
    'oracle_generated_at_seconds{job="oracle"}': "0+600x60",
    'oracle_last_success_seconds{job="oracle"}': "0+600x60",
    'oracle_tip_time_seconds{job="oracle"}': "0+600x60",
    'oracle_exchange_quoted_at_seconds{job="oracle"}': "0+600x60",
    'oracle_status{job="oracle",status="failing"}': "0x60",
    'oracle_status{job="oracle",status="ok"}': "1x60",
    'oracle_source_reachable{job="oracle",source="core"}': "1x60",
    'oracle_price_valid{job="oracle",kind="spot"}': "1x60",
    'oracle_price_valid{job="oracle",kind="window"}': "0x60",
    'oracle_tip_height{job="oracle"}': "900000+1x60",
    'oracle_divergence_large{job="oracle"}': "0x60",
    'oracle_peer_differs{job="oracle",peer="a"}': "0x60",
    'oracle_demo{job="oracle"}': "0x60",
    'oracle_disk_free_bytes{job="oracle"}': "5000000000x60",
    'oracle_last_run_seconds{job="oracle"}': "30x60",
    'oracle_backup_seconds{job="oracle"}': "0+600x60",
}
JOB = {"job": "oracle"}
ABSENT = None
# The alert; what is other than where all is well; the alert's labels; what its words hold.
RAISED: list[tuple[str, dict[str, str | None], dict[str, str], str]] = [
    ("OracleSiteDown", {'up{job="oracle"}': "0x60"}, JOB, ""),
    ("OracleSiteDown", {'up{job="oracle"}': ABSENT}, JOB, ""),
    ("OracleBuildsStopped", {'oracle_generated_at_seconds{job="oracle"}': "0x60"}, JOB, "8h 0m 0s"),
    (
        "OracleFailing",
        {'oracle_status{job="oracle",status="failing"}': "1x60"},
        {**JOB, "status": "failing"},
        "",
    ),
    ("OracleNoGoodRun", {'oracle_last_success_seconds{job="oracle"}': "0x60"}, JOB, "8h 0m 0s"),
    ("OracleTipOld", {'oracle_tip_time_seconds{job="oracle"}': "0x60"}, JOB, "8h 0m 0s"),
    (
        "OracleSourceUnreachable",
        {'oracle_source_reachable{job="oracle",source="core"}': "0x60"},
        {**JOB, "source": "core"},
        "core",
    ),
    ("OracleNoPrice", {'oracle_price_valid{job="oracle",kind="spot"}': "0x60"}, {}, ""),
    (
        "OracleNoPrice",
        {
            'oracle_price_valid{job="oracle",kind="spot"}': ABSENT,
            'oracle_price_valid{job="oracle",kind="window"}': ABSENT,
        },
        JOB,
        "",
    ),
    (
        "OracleQuoteOld",
        {'oracle_exchange_quoted_at_seconds{job="oracle"}': "0x60"},
        JOB,
        "8h 0m 0s",
    ),
    ("OracleDivergence", {'oracle_divergence_large{job="oracle"}': "1x60"}, JOB, ""),
    (
        "OraclePeerDiffers",
        {'oracle_peer_differs{job="oracle",peer="a"}': "1x60"},
        {**JOB, "peer": "a"},
        "a",
    ),
    ("OracleDiskFull", {'oracle_disk_free_bytes{job="oracle"}': "1073741824x60"}, JOB, "1Gi"),
    (
        "OracleBackupOld",
        {'oracle_backup_seconds{job="oracle"}': "-300000x60"},
        JOB,
        "3d 19h 20m 0s",
    ),
    ("OracleRunsLong", {'oracle_last_run_seconds{job="oracle"}': "600x60"}, JOB, "10m 0s"),
    ("OracleSimulated", {'oracle_demo{job="oracle"}': "1x60"}, JOB, ""),
]


def sample() -> bytes:
    """Return the metrics of a site."""
    made = snapshots()
    return metrics(made["api/latest.json"], made["api/status.json"], made["api/peers.json"])


def published() -> set[str]:
    """Return the names of a site's metrics, without what they all begin with."""
    return set(re.findall(r"^oracle_(\w+)", sample().decode(), re.MULTILINE))


def promtool(*words: str | Path, text: bytes = b"") -> str:
    """Run Prometheus' tool; return what it says."""
    path = shutil.which("promtool") or shutil.which("promtool", path=TOOLS)
    if path is None:
        pytest.skip("promtool is not there (make test fetches it from Debian)")
    done = subprocess.run([path, *map(str, words)], check=False, input=text, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


def story(name: str, changes: Mapping[str, str | None], expected: Mapping[str, Any]) -> Any:
    """Return a test of promtool: of all alerts, only the expected ones are raised."""
    return {
        "name": name,
        "interval": "10m",
        "input_series": [
            {"series": series, "values": values}
            for series, values in {**WELL, **changes}.items()
            if values is not ABSENT
        ],
        "alert_rule_test": [
            {"eval_time": AT, "alertname": alert, "exp_alerts": expected.get(alert, [])}
            for alert in RULES
        ],
    }


def raised(alert: str, labels: Mapping[str, str], words: str) -> dict[str, Any]:
    rule = RULES[alert]
    annotations = dict(rule["annotations"])
    annotations["summary"] = re.sub(r"\{\{.*?\}\}", words, annotations["summary"])
    return {"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": annotations}


def test_prometheus_takes_the_files() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", ALERTS)
    promtool("check", "config", FOLDER / "scrape.yml")


def test_prometheus_finds_nothing_wrong_with_the_metrics() -> None:
    assert promtool("check", "metrics", text=sample()) == ""


def test_each_alert_is_raised_by_what_it_is_for_and_by_nothing_else(tmp_path: Path) -> None:
    assert {alert for alert, *_ in RAISED} == set(RULES)
    stories = [story("all is well", {}, {})]
    for alert, changes, labels, words in RAISED:
        assert changes.keys() <= WELL.keys()
        stories.append(story(alert, changes, {alert: [raised(alert, labels, words)]}))
    file = tmp_path / "tests.yml"
    tests = {"rule_files": [str(ALERTS)], "evaluation_interval": "10m", "tests": stories}
    file.write_text(yaml.safe_dump(tests))
    assert "SUCCESS" in promtool("test", "rules", file)


def test_alerts_ask_for_nothing_that_a_site_does_not_publish() -> None:
    asked = {name for rule in RULES.values() for name in re.findall(r"oracle_(\w+)", rule["expr"])}
    assert asked - published() == set()


@pytest.mark.parametrize("alert", RULES)
def test_every_alert_leads_to_a_part_of_the_runbook(alert: str) -> None:
    file, _, part = RULES[alert]["annotations"]["runbook"].partition("#")
    titles = re.findall(r"^## (.*)$", (PROJECT / file).read_text(), re.MULTILINE)
    assert part in {title.lower().replace(" ", "-") for title in titles}


# --- The dashboard for Grafana ------------------------------

BOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
ASKED = {target["expr"] for panel in BOARD["panels"] for target in panel["targets"]}
GRID_COLUMNS = 24


def test_prometheus_understands_every_question_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{place}", "expr": expr.replace("$job", "oracle")}
        for place, expr in enumerate(sorted(ASKED))
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(ASKED)} rules found" in promtool("check", "rules", file)


def test_the_dashboard_asks_for_nothing_that_a_site_does_not_publish() -> None:
    asked = {name for expr in ASKED for name in re.findall(r"oracle_(\w+)", expr)}
    named = re.findall(r"oracle_(\w+)", str(BOARD["templating"]))
    # Peers and failures have numbers only where there are any.
    assert (asked | set(named)) - published() <= {"recent_failures"}


def test_no_panel_of_the_dashboard_lies_over_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < GRID_COLUMNS
        assert not cells & taken, panel["title"]
        taken |= cells


def test_each_panel_has_a_title_a_unit_and_a_number_of_its_own() -> None:
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
