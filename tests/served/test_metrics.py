"""`/metrics` of the whole application, with an engine at work."""

import httpx2

from tests.exposition import Scrape
from tests.served.conftest import ALIAS, MODEL


def test_the_engine_s_steps_tokens_and_cells_are_told(http: httpx2.Client) -> None:
    before = Scrape(http.get("/metrics").text)
    body = {"model": ALIAS, "prompt": "Rivers of Europe:", "max_tokens": 16, "temperature": 0}
    usage = http.post("/v1/completions", json=body).json()["usage"]
    after = Scrape(http.get("/metrics").text)

    def growth(name: str) -> float:
        return (after.value(name, model=MODEL) or 0) - (before.value(name, model=MODEL) or 0)

    assert growth("llm_api_completion_tokens_total") == usage["completion_tokens"]
    assert growth("llm_api_prompt_tokens_total") == usage["prompt_tokens"]
    assert growth("llm_api_time_between_tokens_seconds_count") > 1
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
