"""Several workers, and one of them that tells what all have counted."""

import os
import time
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.exposition import generate_latest

from llm_api.api.metrics.families import Collected, counter, gauge, histogram
from llm_api.api.metrics.sharing import GONE_SECONDS, WorkersFolder
from llm_api.core.utils.distribution import Distribution
from tests.exposition import Scrape


def families(requests: int) -> list[Metric]:
    seconds = Distribution((0.5,))
    seconds.add(requests)
    return [
        counter("requests", "", ["status"], {("200",): requests}),
        gauge("ready", "", [], {(): 1}),
        histogram("request_seconds", "", ["endpoint"], [(('/"quoted"',), seconds)]),
    ]


def told(folder: WorkersFolder, own: list[Metric]) -> Scrape:
    return Scrape(generate_latest(Collected(folder.gathered(own))).decode())


def test_every_sample_of_every_worker_is_told_once(tmp_path: Path) -> None:
    first, second = WorkersFolder(tmp_path, "1"), WorkersFolder(tmp_path, "2")
    first.leave(families(7))
    second.leave(families(3))
    seen = told(first, families(8))
    assert seen.text.count("# TYPE llm_api_requests_total") == 1
    assert sorted(seen.samples("llm_api_requests_total"), key=str) == [
        ({"status": "200", "worker": "1"}, 8),
        ({"status": "200", "worker": "2"}, 3),
    ]
    assert len(list(seen.samples("llm_api_ready"))) == 2
    labels = {"endpoint": '/"quoted"', "worker": "2"}
    assert seen.value("llm_api_request_seconds_sum", **labels) == 3
    assert seen.value("llm_api_request_seconds_bucket", le="0.5", **labels) == 0


def test_what_was_left_before_is_replaced(tmp_path: Path) -> None:
    first, second = WorkersFolder(tmp_path, "1"), WorkersFolder(tmp_path, "2")
    for requests in (1, 2):
        second.leave(families(requests))
    assert told(first, []).value("llm_api_requests_total", status="200", worker="2") == 2


def test_who_ended_or_has_not_come_for_a_while_is_gone(tmp_path: Path) -> None:
    watcher, ended, killed = (WorkersFolder(tmp_path, name) for name in ("1", "2", "3"))
    ended.leave(families(1))
    killed.leave(families(1))
    assert len(list(told(watcher, families(1)).samples("llm_api_ready"))) == 3
    ended.clear()
    long_ago = time.time() - GONE_SECONDS
    os.utime(tmp_path / "3.prom", (long_ago, long_ago))
    assert list(told(watcher, families(1)).samples("llm_api_ready")) == [({"worker": "1"}, 1)]
