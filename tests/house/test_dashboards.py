"""What Grafana and Prometheus are given loads, and each metric and label in it is in a scrape of a daemon."""

import json
import re
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.daemon.api_client import Api
from tests.house.tree import ROOT
from tests.interop.daemon import Daemon, call
from tests.interop.free_ports import free_sip_port

DASHBOARD = ROOT / "config" / "grafana" / "sipflow.json"
ALERTS = ROOT / "config" / "prometheus" / "alerts.yaml"
MONITORING = ROOT / "docs" / "monitoring.md"
METRIC = re.compile(r"\b((?:sipflow|process|python)_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?")
LABEL = re.compile(r'([a-z_]+)\s*(?:=~|!=|=)\s*"([^"]*)"')
GROUPED = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"instance", "job", "le"}  # labels that it adds itself, or that every histogram has
KNOWN_LATER = {"sipflow_hep_packets_total", "sipflow_rtp_round_trip_seconds"}  # a collector; RTCP, after five seconds


class Scrape(NamedTuple):
    """What one daemon said: the labels of every sample by its name, and every value of each label."""

    labels: dict[str, set[str]]
    values: dict[tuple[str, str], set[str]]
    families: set[str]


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    """A daemon that has had a call, with a trunk that registers and is asked with OPTIONS, and a limit."""
    folder, api, nobody = tmp_path_factory.mktemp("scrape"), Api(), free_sip_port()
    trunks: dict[str, dict[str, Any]] = {
        "local": {"accept_from": ["127.0.0.0/8"]},
        "pbx": {"sip_domain": f"127.0.0.1:{nobody}", "username": "2001", "password": "p", "register": True},
        "self": {"health": {"interval_s": 5}},
    }
    daemon = Daemon(folder, api=api.section, limits={"max_calls": 10})
    trunks["self"]["sip_domain"] = f"127.0.0.1:{daemon.port}"
    daemon.configuration["trunks"] = trunks
    with daemon, api.wait(daemon):
        call(folder, daemon.uri(), "--seconds", "0.5")
        daemon.wait_said("call over")
        daemon.wait_said("up|answers|far end")
        text = httpx.get(f"http://{api.section['listen']}/metrics").text
    labels: dict[str, set[str]] = {}
    values: dict[tuple[str, str], set[str]] = {}
    families = list(text_string_to_metric_families(text))
    for sample in (sample for family in families for sample in family.samples):
        labels.setdefault(sample.name, set()).update(sample.labels)
        for label, value in sample.labels.items():
            values.setdefault((sample.name, label), set()).add(value)
    return Scrape(labels, values, {family.name for family in families})


def expressions() -> list[str]:
    """Every query of the dashboard and of the alerts."""
    found = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]
    return found + [rule["expr"] for rule in rules()]


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return loaded


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def test_every_metric_of_dashboard_and_alerts_is_in_a_scrape(scrape: Scrape) -> None:
    named = {name for expression in expressions() for name, _ in METRIC.findall(expression)}

    assert len(named) > 35
    assert sorted(
        name
        for name in named - {"up"}
        if name not in scrape.labels and re.sub("_bucket$|_sum$|_count$", "", name) not in KNOWN_LATER
    ) == []  # fmt: skip


def test_every_label_that_is_asked_for_is_one_that_the_metric_has(scrape: Scrape) -> None:
    wrong = []
    for expression in [each for each in expressions() if not any(name in each for name in KNOWN_LATER)]:
        found = [(name, selector) for name, selector in METRIC.findall(expression) if name in scrape.labels]
        known = set.union(OF_PROMETHEUS, *(scrape.labels[name] for name, _ in found))
        asked = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
        wrong += [f"{expression}: by {label}" for label in asked - known]
        for name, selector in found:
            labels = {label for label, _ in LABEL.findall(selector)} - OF_PROMETHEUS
            wrong += [f"{expression}: {name} has no {label}" for label in labels - scrape.labels[name]]

    assert wrong == []


def test_every_state_that_an_expression_names_is_one_that_there_is(scrape: Scrape) -> None:
    endings = set(re.findall(r'^    [A-Z_]+ = "([a-z_]+)"', (ROOT / "sipflow/calls/ending.py").read_text(), re.M))
    wrong = []
    for expression in expressions():
        for name, selector in METRIC.findall(expression):
            for label, value in LABEL.findall(selector):
                if label in OF_PROMETHEUS:
                    continue
                known = endings | {"yes", "no"} | scrape.values.get((name, label), set())
                wrong += [f"{name} {label}={each}" for each in value.split("|") if each not in known]

    assert wrong == []


def test_every_alert_has_a_summary_a_description_and_a_severity_and_balanced_brackets() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(names) == len(set(names)) > 10
    for rule in rules():
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert [rule["expr"].count(each) for each in "({["] == [rule["expr"].count(each) for each in ")}]"]


def test_the_dashboard_has_panels_that_lie_side_by_side_and_ask_a_data_source_that_can_be_chosen() -> None:
    panels = dashboard()["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${source}", panel["title"]
            assert panel["description"], panel["title"]

    assert len({panel["id"] for panel in panels}) == len(panels) > 25


def test_every_metric_of_ours_stands_on_the_page_about_monitoring_and_the_reverse(scrape: Scrape) -> None:
    page = MONITORING.read_text(encoding="utf-8")
    shown = {re.sub("_total$", "", name) for name in re.findall(r"`(sipflow_[a-z_]+)`", page)}
    ours = {name for name in scrape.families if name.startswith("sipflow_")}
    later = {re.sub("_total$", "", name) for name in KNOWN_LATER}

    assert sorted(ours - shown) == []
    assert sorted(shown - ours - later) == []


def test_every_file_of_monitoring_is_named_on_its_page() -> None:
    page = MONITORING.read_text(encoding="utf-8")

    assert [path.name for path in (DASHBOARD, ALERTS) if str(path.relative_to(ROOT)) not in page] == []
