"""`/metrics` of the whole application, with an engine at work."""

import httpx2

from tests.exposition import Scrape
from tests.live import wait_until
from tests.served.conftest import ALIAS, MODEL

BODY = {"model": ALIAS, "prompt": "Rivers of Europe:", "max_tokens": 16, "temperature": 0}


def scrape(http: httpx2.Client) -> Scrape:
    return Scrape(http.get("/metrics").text)


def scrape_after_the_end_of(before: Scrape, http: httpx2.Client) -> Scrape:
    """A request is counted once its answer has ended, which its client may know a little before."""

    def completions(seen: Scrape) -> float:
        return seen.value("llm_api_request_seconds_count", endpoint="/v1/completions") or 0

    wait_until(lambda: completions(scrape(http)) > completions(before))
    return scrape(http)


def test_the_engine_s_steps_tokens_and_cells_are_told(http: httpx2.Client) -> None:
    before = scrape(http)
    usage = http.post("/v1/completions", json=BODY).json()["usage"]
    after = scrape_after_the_end_of(before, http)

    def growth(name: str) -> float:
        return (after.value(name, model=MODEL) or 0) - (before.value(name, model=MODEL) or 0)

    assert growth("llm_api_completion_tokens_total") == usage["completion_tokens"]
    assert growth("llm_api_prompt_tokens_total") == usage["prompt_tokens"]
    steps = growth("llm_api_engine_step_seconds_count")
    assert 1 < steps <= usage["completion_tokens"] + usage["prompt_tokens"]
    assert growth("llm_api_engine_batch_size_sum") == steps
    assert growth("llm_api_engine_step_seconds_sum") > 0
    cells = dict.fromkeys(("running", "reusable", "free"), 0.0)
    for state in cells:
        cells[state] = after.value("llm_api_engine_kv_tokens", model=MODEL, state=state) or 0
    assert cells["running"] == 0
    assert cells["reusable"] >= usage["prompt_tokens"]
    assert cells["free"] > 0
    assert after.value("llm_api_model_loaded", model=MODEL) == 1


def test_a_stream_has_a_first_token_and_times_between_the_others(http: httpx2.Client) -> None:
    name = "llm_api_time_between_tokens_seconds_count"
    before = scrape(http)
    assert http.post("/v1/completions", json={**BODY, "stream": True}).is_success
    after = scrape_after_the_end_of(before, http)
    assert 1 < (after.value(name, model=MODEL) or 0) - (before.value(name, model=MODEL) or 0) < 16
