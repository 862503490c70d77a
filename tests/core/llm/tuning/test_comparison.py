import numpy as np
import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.tuning.comparison import ComparedFile, Trial, compare, fastest, summarise
from llm_api.core.llm.tuning.measure import Speed, Workload

LOSSES = np.array([1.0, 2.0])
SLOW = [Speed(100, 10), Speed(50, 5), Speed(100, 10)]


def result(name: str, factor: float) -> ComparedFile:
    speeds = [Speed(one.prefill * factor, one.decode * factor) for one in SLOW]
    return summarise(name, speeds, SLOW, LOSSES, LOSSES)


def test_ratios_are_taken_within_a_round() -> None:
    speeds = [Speed(200, 30), Speed(100, 15), Speed(900, 90)]
    summary = summarise("other", speeds, SLOW, LOSSES, LOSSES)
    assert summary.speed == Speed(200, 30)
    assert (summary.prefill_ratio, summary.decode_ratio) == (2, 3)
    # 256 tokens in and 128 out: 2.56 + 12.8 seconds become 1.28 + 4.27.
    assert summary.request_ratio == pytest.approx(15.36 / 5.547, rel=1e-3)


@pytest.mark.parametrize(
    ("factors", "winner"), [([2.0, 3.0], "1"), ([1.04, 0.9], "current"), ([1.2, 0.5], "0")]
)
def test_the_fastest_must_beat_the_noise(factors: list[float], winner: str) -> None:
    others = [result(str(index), factor) for index, factor in enumerate(factors)]
    assert fastest([result("current", 1), *others]).name == winner


def test_files_are_measured_in_turn_and_the_same_file_is_as_good() -> None:
    path = default_model_path()
    steps: list[tuple[str, int, int]] = []
    trial = Trial("One two three four five.", Workload(1, 8, 1), rounds=1)
    first, second = compare(
        [("a", path), ("b", path)], trial, ModelOptions(), lambda *step: steps.append(step)
    )
    assert first.perplexity == second.perplexity
    assert second.perplexity_change == 0
    assert [name for name, _, _ in steps] == ["a", "a", "b", "b"]
    assert steps[-1][1] == steps[-1][2]


def test_a_text_too_short_to_score_is_refused() -> None:
    files = [("a", default_model_path())]
    with pytest.raises(InvalidRequestError, match="too short"):
        compare(files, Trial("", Workload(1, 1, 1)), ModelOptions())
