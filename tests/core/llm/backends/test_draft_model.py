"""A draft model behind the real engine: the same answers, sooner where that pays."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from llm_api.core.errors import ModelFileError
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.tuning.quantise import quantise
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    GenerationRequest,
    JSONFormat,
    Message,
    RequestContext,
    Sampling,
)
from tests.core.llm.backends.drafted_models import (
    CONTEXT,
    OPTIONS,
    REQUESTS,
    answers_to,
    ask,
    drafter_of,
    guessing_freely,
    opened,
    scheduler_of,
)
from tests.core.llm.engine.draft_totals import accepted
from tests.core.llm.tiny_models import PLAIN, RECURRENT


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return PLAIN.write(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def draft(model: Path) -> Path:
    """The model itself, rounded: it guesses right more often than not."""
    path = model.with_name("draft.gguf")
    quantise(model, path, "Q8_0", threads=1)
    return path


@pytest.mark.parametrize("kv_tokens", [None, 2048])
async def test_a_draft_model_changes_no_answer_alone_or_beside_others(
    model: Path, draft: Path, kv_tokens: int | None
) -> None:
    options = replace(OPTIONS, kv_tokens=kv_tokens)
    async with (
        opened(model, options) as plain,
        guessing_freely(model, replace(options, draft_model=draft)) as drafted,
    ):
        for request in REQUESTS.values():
            assert await answers_to(plain, request) == await answers_to(drafted, request)
        together = tuple(REQUESTS.values())
        assert await answers_to(drafted, *together) == await answers_to(plain, *together)
        scheduler = scheduler_of(drafted)
        scheduler.check_integrity()
        assert accepted(scheduler) > 100


async def test_prefixes_that_are_reused_and_cut_are_read_anew_by_the_draft_model(
    model: Path, draft: Path
) -> None:
    texts = ["A long beginning that all of them share, word by word. " * 3 + end for end in "abc"]
    requests = [
        replace(ask(text + more), context=RequestContext(scope=scope))
        for text in texts
        for more in ("", " and on", "")
        for scope in ("one", "two")
    ]
    async with (
        opened(model) as plain,
        guessing_freely(model, replace(OPTIONS, draft_model=draft)) as drafted,
    ):
        for request in requests:
            assert await answers_to(drafted, request) == await answers_to(plain, request)
        assert accepted(scheduler_of(drafted)) > 100


async def test_a_draft_model_short_of_room_gives_up_what_is_idle(model: Path, draft: Path) -> None:
    options = replace(OPTIONS, kv_tokens=CONTEXT)
    async with guessing_freely(model, replace(options, draft_model=draft)) as drafted:
        for number in range(12):
            [answer] = await answers_to(drafted, ask(f"{number} " * 100, length=100))
            assert answer[2] == 100


async def test_a_draft_model_of_another_vocabulary_is_refused(model: Path) -> None:
    with pytest.raises(ModelFileError, match=r"another vocabulary.*49152 tokens, not 259") as error:
        async with opened(model, replace(OPTIONS, draft_model=default_model_path())):
            pass
    assert "\n" not in str(error.value)


async def test_a_draft_model_that_cannot_take_back_what_it_read_is_refused(
    model: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match="recurrent or hybrid"):
        async with opened(model, replace(OPTIONS, draft_model=RECURRENT.write(tmp_path))):
            pass


async def test_what_steps_take_is_learnt_from_steps(model: Path, draft: Path) -> None:
    async with opened(model, replace(OPTIONS, draft_model=draft)) as backend:
        guesses, drafter = scheduler_of(backend)._guesses, drafter_of(backend)
        before, untried = guesses.costs, drafter.costs
        drafter.costs = replace(untried, points=tuple((rows, 1e-9) for rows, _ in untried.points))
        await answers_to(backend, ask("Some words"))
        assert guesses.costs.trials[0] < before.trials[0], "of one row"
        assert drafter.costs.trials != untried.trials


SCHEMA: Mapping[str, JSON] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@pytest.mark.long
async def test_the_default_model_drafted_for_by_its_quantisation_answers_as_without(
    tmp_path: Path,
) -> None:
    draft = tmp_path / "draft.gguf"
    quantise(default_model_path(), draft, "Q4_0", threads=1)
    story = GenerationRequest(ChatPrompt((Message("user", "Tell me of a fox."),)), 40)
    requests = (
        replace(story, sampling=Sampling(temperature=0)),
        replace(story, sampling=Sampling(temperature=0.7, seed=3)),
        replace(story, sampling=Sampling(temperature=0), output_format=JSONFormat(SCHEMA)),
    )
    model = default_model_path()
    # Without flash attention one row and several are added up in another order, here and there.
    options = replace(OPTIONS, context=ContextOptions(2))
    async with (
        opened(model, options) as plain,
        guessing_freely(model, replace(options, draft_model=draft)) as drafted,
    ):
        for request in requests:
            assert await answers_to(drafted, request) == await answers_to(plain, request)
        assert accepted(scheduler_of(drafted)) > 20
