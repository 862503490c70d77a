"""What each stage of a sampler does to a row of logits, and that a stage that is off is none."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from llm_api.core.llm.engine.runner import DrawingRules
from llm_api.core.llm.engine.sampling import MOST_PREPARED, Candidates, Repetitions, Sampler
from llm_api.core.llm.types import Sampling
from tests.core.llm.tiny_models import PLAIN, VOCABULARY, byte_token

EVERY_TOKEN = np.arange(VOCABULARY, dtype=np.int32)
A, B, C, D = (byte_token(byte) for byte in b"abcd")

Logits = NDArray[np.float32]


class Bench:
    """Samplers over the tiny vocabulary."""

    def __init__(self, model: LlamaModel) -> None:
        self.repetitions = Repetitions(model.vocabulary, VOCABULARY, window=256)
        self._candidates = Candidates(VOCABULARY)

    def sampler(self, sampling: Sampling, prompt: Sequence[int] = ()) -> closing[Sampler]:
        rules = DrawingRules(sampling)
        return closing(Sampler(rules, prompt, self._candidates, self.repetitions))

    def biased(self, sampling: Sampling, logits: Logits) -> int:
        """The token drawn, where the model's own logits are as they were."""
        own = logits.copy()
        [token] = self.draws(sampling, logits)
        assert np.array_equal(logits, own)
        return token

    def draws(
        self, sampling: Sampling, logits: Logits, count: int = 1, prompt: Sequence[int] = ()
    ) -> list[int]:
        """Tokens drawn one after another, each from these logits."""
        with self.sampler(sampling, prompt) as sampler:
            return [sampler.choose(logits, EVERY_TOKEN) for _ in range(count)]

    def draw_after(self, text: Sequence[int], sampling: Sampling, logits: Logits) -> int:
        """The token drawn once these were."""
        with self.sampler(sampling) as sampler:
            for token in text:
                sampler.remember(token)
            return sampler.choose(logits, EVERY_TOKEN)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    model = LlamaModel(PLAIN.write(tmp_path_factory.mktemp("model")), ModelOptions())
    bench = Bench(model)
    yield bench
    bench.repetitions.close()
    model.close()


def row(likely: dict[int, float]) -> Logits:
    """Logits with these probabilities; the rest is out of the question."""
    logits = np.full(VOCABULARY, -40, dtype=np.float32)
    for token, probability in likely.items():
        logits[token] = np.log(probability)
    return logits


GREEDY = Sampling(temperature=0)
CLOSE = row({A: 0.6, B: 0.4})


def test_what_is_off_has_no_stage(bench: Bench) -> None:
    with bench.sampler(GREEDY) as greedy, bench.sampler(Sampling(top_k=5)) as free:
        assert (greedy.stage_count, free.stage_count) == (1, 3)  # arg-max; filter, heat and draw
    with bench.sampler(Sampling(top_p=0.5)) as plain:
        assert plain.stage_count == 0


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(dry_multiplier=1.0),
        Sampling(xtc_probability=0.1),
        Sampling(repeat_penalty=1.1),
        Sampling(typical_p=0.9),
    ],
)
def test_what_is_on_has_one(bench: Bench, sampling: Sampling) -> None:
    """Beside temperature and draw."""
    with bench.sampler(sampling) as sampler:
        assert sampler.stage_count == 3


def test_dry_goes_on_elsewhere_than_what_was_said_before(bench: Bench) -> None:
    dry = Sampling(temperature=0, dry_multiplier=2.0)
    said = [C, D, C, A, C, D, C]
    assert bench.draw_after(said, GREEDY, CLOSE) == A
    assert bench.draw_after(said, dry, CLOSE) == B


def test_dry_knows_the_prompt(bench: Bench) -> None:
    dry = Sampling(temperature=0, dry_multiplier=2.0)
    assert bench.draws(dry, CLOSE, prompt=[C, D, C, A, C, D, C]) == [B]


@pytest.mark.parametrize(
    "gentler",
    [{"dry_allowed_length": 4}, {"dry_penalty_last_n": 4}, {"dry_sequence_breakers": ("d",)}],
)
def test_dry_lets_pass_what_it_is_told_to(bench: Bench, gentler: dict[str, object]) -> None:
    sampling = Sampling(temperature=0, dry_multiplier=2.0, **gentler)  # type: ignore[arg-type]
    assert bench.draw_after([C, D, C, A, C, D, C], sampling, CLOSE) == A


def test_dry_settings_are_prepared_once_and_a_few_kept(bench: Bench) -> None:
    for number in range(2 * MOST_PREPARED):
        sampling = Sampling(temperature=0, dry_multiplier=2.0 + number % (MOST_PREPARED + 2))
        assert bench.draw_after([C, D, C, A, C, D, C], sampling, CLOSE) == B


@pytest.mark.parametrize(("last", "drawn"), [(0, A), (2, A), (3, B), (64, B), (-1, B)])
def test_a_repetition_is_punished_among_the_last_tokens(
    bench: Bench, last: int, drawn: int
) -> None:
    sampling = Sampling(temperature=0, repeat_penalty=2.0, repeat_last_n=last)
    assert bench.draws(sampling, CLOSE, prompt=[A, C, D]) == [drawn]


def test_xtc_leaves_out_all_likely_tokens_but_the_least_likely(bench: Bench) -> None:
    logits = row({A: 0.5, B: 0.3, C: 0.15, D: 0.05})
    always = Sampling(seed=1, xtc_probability=1.0, xtc_threshold=0.1)
    assert set(bench.draws(always, logits, 200)) == {C, D}
    half = Counter(bench.draws(Sampling(seed=1, xtc_probability=0.5), logits, 400))
    assert 0 < half[A] < 400 * 0.4


def test_xtc_draws_its_chance_from_the_seed(bench: Bench) -> None:
    logits = row({A: 0.4, B: 0.3, C: 0.2, D: 0.1})
    sampling = Sampling(seed=5, xtc_probability=0.5)
    first, again = (bench.draws(sampling, logits, 64) for _ in range(2))
    assert first == again
    assert first != bench.draws(Sampling(seed=6, xtc_probability=0.5), logits, 64)


def test_a_dynamic_temperature_is_low_where_the_model_is_sure(bench: Bench) -> None:
    """Between 0.1 and 1.9, by the entropy of what may come."""
    unsure, sure = row(dict.fromkeys(range(A, A + 8), 0.125)), row({A: 0.9, B: 0.1})
    dynamic = Sampling(temperature=1.0, dynatemp_range=0.9, seed=3)
    assert set(bench.draws(dynamic, sure, 300)) == {A}
    assert set(bench.draws(Sampling(seed=3), sure, 300)) == {A, B}
    assert len(set(bench.draws(dynamic, unsure, 300))) == 8


def test_a_temperature_of_zero_stays_greedy(bench: Bench) -> None:
    sampling = Sampling(temperature=0, xtc_probability=1.0, dynatemp_range=0.5)
    assert set(bench.draws(sampling, CLOSE, 20)) == {A}


@pytest.mark.parametrize("temperature", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("filters", [{"top_k": 40, "top_p": 0.9}, {"min_p": 0.02}])
def test_tokens_without_a_chance_are_left_out_and_nothing_else_changes(
    bench: Bench, temperature: float, filters: dict[str, float]
) -> None:
    logits = np.random.default_rng(1).normal(0, 4, VOCABULARY).astype(np.float32)
    short = Sampling(temperature=temperature, seed=9, **filters)  # type: ignore[arg-type]
    whole = replace(short, frequency_penalty=1e-9)  # which looks at every token
    drawn = bench.draws(short, logits, 300)
    assert drawn == bench.draws(whole, logits, 300)
    assert temperature < 0.5 or len(set(drawn)) > 1


def test_the_chain_leaves_the_same_tokens_as_a_plain_draw(bench: Bench) -> None:
    logits = row({A: 0.4, B: 0.3, C: 0.2, D: 0.1})
    for top_p, left in ((0.3, {A}), (0.6, {A, B}), (0.95, {A, B, C, D})):
        plain = Sampling(top_p=top_p, temperature=1.5, seed=1)
        chained = replace(plain, frequency_penalty=1e-9)
        assert set(bench.draws(plain, logits, 300)) == left
        assert set(bench.draws(chained, logits, 300)) == left


@pytest.mark.parametrize("temperature", [0.0, 0.2, 1.0])
def test_a_bias_holds_for_the_draw_alone(bench: Bench, temperature: float) -> None:
    sampling = Sampling(temperature=temperature, logit_bias=((A, -100.0), (C, 50.0)))
    assert bench.biased(sampling, CLOSE) == C
    assert bench.biased(replace(sampling, logit_bias=((A, -100.0),)), CLOSE) == B


def test_the_first_of_the_likeliest_tokens_is_the_greedy_one(bench: Bench) -> None:
    assert bench.draws(GREEDY, row({B: 0.5, D: 0.5})) == [B]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(seed=7),
        Sampling(seed=7, xtc_probability=0.5, dynatemp_range=0.5),
        Sampling(seed=7, dry_multiplier=0.8, repeat_penalty=1.2),
        Sampling(seed=7, mirostat=2),
    ],
)
def test_seeded_draws_repeat(bench: Bench, sampling: Sampling) -> None:
    logits = row(dict.fromkeys(range(A, A + 20), 0.05))
    assert bench.draws(sampling, logits, 50) == bench.draws(sampling, logits, 50)
