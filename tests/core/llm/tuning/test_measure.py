import math
import random
from collections.abc import Iterator

import numpy as np
import pytest

from llm_api.core.llm.engine.llama_model import ModelOptions
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.tuning.measure import (
    CHUNK_TOKENS,
    Gauge,
    Workload,
    open_gauge,
    perplexity,
    perplexity_change,
    sample_text,
)

WORKLOAD = Workload(threads=1, prompt_tokens=16, decode_tokens=2)


@pytest.fixture(scope="module")
def gauge() -> Iterator[Gauge]:
    with open_gauge(default_model_path(), ModelOptions(), WORKLOAD) as gauge:
        yield gauge


def scored(gauge: Gauge, text: str) -> float:
    return perplexity(np.concatenate(list(gauge.losses(gauge.tokens(text)))))


def test_a_repeated_sentence_is_less_surprising_than_its_words_shuffled(gauge: Gauge) -> None:
    sentence = "The ferry to the northern islands leaves at six in the morning."
    words = sentence.split() * 5
    shuffled = random.Random(1).sample(words, len(words))
    assert scored(gauge, " ".join(words)) < scored(gauge, " ".join(shuffled)) / 2


def test_every_token_that_has_a_past_is_scored_the_same_every_time(gauge: Gauge) -> None:
    tokens = gauge.tokens(sample_text())[:300]
    chunks = list(gauge.losses(tokens))
    assert sum(map(len, chunks)) in (len(tokens), len(tokens) - len(chunks))
    assert all((chunk > 0).all() for chunk in chunks)
    (again,) = gauge.losses(tokens[CHUNK_TOKENS:])  # the default model has no BOS
    np.testing.assert_array_equal(chunks[1], again)


def test_a_prompt_of_any_length_runs_the_workload(gauge: Gauge) -> None:
    for tokens in ([1], gauge.tokens(sample_text())):
        speed = gauge.speed(tokens)
        assert speed.prefill > 0
        assert speed.decode > 0


def test_the_sample_text_has_about_two_thousand_tokens(gauge: Gauge) -> None:
    assert 1800 <= len(gauge.tokens(sample_text())) <= 2600


def test_perplexity_of_even_chances_is_their_number() -> None:
    assert perplexity(np.full(5, math.log(8))) == pytest.approx(8)


def test_a_change_is_told_with_its_error() -> None:
    before = np.array([1.0, 5.0, 9.0, 2.0])
    change, error = perplexity_change(before, before + math.log(1.1))
    assert change == pytest.approx(0.1)
    assert error == pytest.approx(0)
    _, error = perplexity_change(before, before + np.array([0.1, -0.1, 0.1, -0.1]))
    assert error == pytest.approx(0.0577, abs=1e-3)
