"""How long documents and searches took, as `/metrics` tells."""

from tests.api.rag.conftest import Desk
from tests.exposition import Scrape


def scrape(desk: Desk) -> Scrape:
    return Scrape(desk.http.get("/metrics").text)


def growth(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    return (after.value(name, **labels) or 0) - (before.value(name, **labels) or 0)


def test_a_search_takes_time_at_each_stage_that_it_has(desk: Desk) -> None:
    desk.store(cats="cats sleep long")
    before = scrape(desk)
    assert desk.post("/v1/rag/search", query="cats").is_success
    assert desk.post("/v1/rag/search", query="cats", mode="sparse").is_success
    after = scrape(desk)
    name = "llm_api_retrieval_seconds_count"
    stages = {stage: growth(before, after, name, stage=stage) for stage in ("embed", "search")}
    assert stages == {"embed": 1, "search": 2}
    assert growth(before, after, "llm_api_retrieval_seconds_sum", stage="search") > 0


def test_an_ingest_takes_time_at_every_stage_and_tells_what_became_of_documents(
    desk: Desk,
) -> None:
    before = scrape(desk)
    desk.store(cats="cats sleep", dogs="dogs bark")
    desk.store(cats="cats sleep", dogs="dogs bark loud")
    after = scrape(desk)
    for stage in ("prepare", "embed", "write"):
        assert growth(before, after, "llm_api_ingest_seconds_count", stage=stage) == 2
    name = "llm_api_ingested_documents_total"
    outcomes = {
        outcome: growth(before, after, name, outcome=outcome)
        for outcome in ("created", "replaced", "unchanged", "failed")
    }
    assert outcomes == {"created": 2, "replaced": 1, "unchanged": 1, "failed": 0}
