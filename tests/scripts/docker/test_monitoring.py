"""What the dashboard and the alerts look at is what a running server tells."""

import fnmatch
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
import yaml

from llm_api.core.llm.observation import (
    DraftStatus,
    EngineStatus,
    KVTokens,
    ReplicaStatus,
    TierStatus,
)
from llm_api.core.llm.types import ServedBy, Started
from llm_api.core.rag.reports import StageTimes
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.utils.distribution import Distribution
from tests.api.bodies import chat
from tests.documents import block
from tests.exposition import Scrape
from tests.fakes import MODEL_ID, FakeBackend, FakeServices, spoken
from tests.scripts.docker.container import ROOT

DOCKER = ROOT / "docker"
RULES = DOCKER / "prometheus" / "rules" / "llm_api.yml"
DASHBOARD = DOCKER / "grafana" / "dashboards" / "llm_api.json"

OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that it puts on itself, or that a histogram's buckets have."""


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def alerts() -> list[dict[str, Any]]:
    [group] = read_yaml(RULES)["groups"]
    return list(group["rules"])


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return read


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


@dataclass(frozen=True)
class Look:
    """An expression, and the labels that its result is shown with."""

    place: str
    expression: str
    shown: frozenset[str]

    @property
    def metrics(self) -> set[str]:
        return set(re.findall(r"\b(?:llm_api|process)_\w+", self.expression))

    @property
    def labels(self) -> set[str]:
        """Those that it selects or groups by."""
        grouped = re.findall(r"\bby \(([^)]*)\)", self.expression)
        selected = re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", self.expression)
        return {label.strip() for group in grouped for label in group.split(",")} | set(selected)


def looks() -> Iterator[Look]:
    for alert in alerts():
        shown = re.findall(r"\$labels\.(\w+)", str(alert["annotations"]))
        yield Look(alert["alert"], alert["expr"], frozenset(shown))
    for panel in panels():
        for target in panel["targets"]:
            shown = re.findall(r"{{(\w+)}}", target["legendFormat"])
            yield Look(panel["title"], target["expr"], frozenset(shown))
    for variable in dashboard()["templating"]["list"]:
        metric, label = re.findall(r"label_values\((\w+), (\w+)\)", variable["definition"])[0]
        yield Look(variable["name"], metric, frozenset({label}))


@pytest.fixture
async def scrape(
    client: httpx2.AsyncClient, backend: FakeBackend, services: FakeServices
) -> Scrape:
    """Of a server that has done everything once."""
    empty = Distribution(())
    tiers, drafts = (TierStatus("ram", 0, 0, 1, 0, 0, 0),), (DraftStatus("lookup", 0, 0, True),)
    status = EngineStatus(0, 0, empty, empty, 0, KVTokens(0, 0, 1), tiers, drafts)
    replica = ReplicaStatus("other:8000", is_well=True, running=0)
    services.models.observations = [(MODEL_ID, status), (MODEL_ID, replica)]
    times = StageTimes()
    times.documents["created"] = 1
    retrieval = SimpleNamespace(times=times, embedder=None, through=lambda _: None)
    retrieval.within = lambda _: retrieval
    services.retrieval = cast("Retrieval", retrieval)
    backend.script = lambda _: [Started(1, ServedBy("stub", "other")), *spoken("x")[1:]]
    assert (await client.post("/v1/chat/completions", json=chat(stream=True))).is_success
    return Scrape((await client.get("/metrics")).text)


@pytest.mark.parametrize("look", list(looks()), ids=lambda look: look.place)
def test_what_is_looked_at_is_told(look: Look, scrape: Scrape) -> None:
    assert look.metrics - scrape.names() == set()
    assert look.metrics or look.place == "ServerDown"  # which asks Prometheus itself
    told = OF_PROMETHEUS.union(*(scrape.labels(metric) for metric in look.metrics))
    assert look.labels - told == set()
    assert look.shown - told == set()
    if "by (" in look.expression:
        assert look.shown <= look.labels, "grouping takes away what is to be shown"


def test_what_is_not_told_would_be_found(scrape: Scrape) -> None:
    wrong = Look(
        "", 'sum by (modell) (rate(llm_api_engine_stepps_total{oddly=~"x"}[5m]))', frozenset()
    )
    assert wrong.metrics - scrape.names() == {"llm_api_engine_stepps_total"}
    assert wrong.labels == {"modell", "oddly"}


def test_every_metric_of_ours_is_looked_at(scrape: Scrape) -> None:
    families = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in scrape.names()}
    shown = {
        re.sub(r"_(bucket|sum|count|total)$", "", metric)
        for look in looks()
        for metric in look.metrics
    }
    assert {name for name in families if name.startswith("llm_api_")} - shown == set()


def test_the_page_tells_every_metric_of_ours(scrape: Scrape) -> None:
    told = re.findall(r"`(llm_api_\w+)`", block("metrics"))
    ours = {name for name in scrape.names() if name.startswith("llm_api_")}
    assert sorted(told) == sorted({re.sub(r"_(bucket|sum|count)$", "", name) for name in ours})


def test_prometheus_reads_the_rules() -> None:
    [pattern] = read_yaml(DOCKER / "prometheus" / "prometheus.yml")["rule_files"]
    assert fnmatch.fnmatch(f"/etc/prometheus/rules/{RULES.name}", pattern)
    names = [alert["alert"] for alert in alerts()]
    assert len(set(names)) == len(names) > 5
    for alert in alerts():
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["annotations"].keys() == {"summary"}
        assert alert.keys() <= {"alert", "expr", "for", "labels", "annotations"}


def test_the_alerts_about_prometheus_job_name_it_as_it_is() -> None:
    jobs = [
        job["job_name"]
        for job in read_yaml(DOCKER / "prometheus" / "prometheus.yml")["scrape_configs"]
    ]
    named = {job for look in looks() for job in re.findall(r'job="(\w+)"', look.expression)}
    assert named == {"llm_api"} <= set(jobs)


def test_panels_lie_beside_each_other_and_ask_the_provisioned_source() -> None:
    [source] = read_yaml(DOCKER / "grafana" / "provisioning" / "datasources" / "prometheus.yml")[
        "datasources"
    ]
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        used = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {one["uid"] for one in used} == {source["uid"]}
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
