"""LoRA adapters by request: each answer is that of its adapters alone, whatever runs beside it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from llm_api.core.errors import InvalidRequestError, ModelFileError, UnsupportedParameterError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.capabilities import ADAPTABLE
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import Completion, collect
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_model import AdapterFile, ModelOptions
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.types import Adapter, GenerationRequest, RequestContext, Sampling, TokenPrompt
from tests.core.llm.tiny_adapters import write_adapter
from tests.core.llm.tiny_models import PLAIN, byte_token

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIONS = LlamaOptions(256, 4, max_queue=64, context=ContextOptions(1, "off"), draft_tokens=0)
GREEDY = Sampling(temperature=0, logit_bias=tuple((one, -100.0) for one in range(3)))
KNOWN = (Adapter("poet", 1.0), Adapter("terse", 0.5))


@dataclass(frozen=True, slots=True)
class Files:
    model: Path
    adapters: tuple[AdapterFile, ...]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("adapters")
    model = PLAIN.write(folder)
    adapters = tuple(
        AdapterFile(one.name, write_adapter(folder / f"{one.name}.gguf", model, seed=seed))
        for seed, one in enumerate(KNOWN)
    )
    return Files(model, adapters)


@asynccontextmanager
async def opened(
    files: Files, options: LlamaOptions = OPTIONS
) -> AsyncGenerator[EngineBackend, None]:
    card = ModelCard("tiny", 0, "tests", 256)
    if files.adapters:
        card = replace(card, capabilities=ADAPTABLE, adapters=KNOWN)
    options = replace(options, model=ModelOptions(adapters=files.adapters))
    async with AsyncExitStack() as stack:
        compute = await stack.enter_async_context(aclosing(ComputeThread()))
        backend = await open_llama(files.model, card, options, compute)
        yield await stack.enter_async_context(aclosing(backend))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend(files: Files) -> AsyncGenerator[EngineBackend, None]:
    async with opened(files) as backend:
        yield backend


def asked(
    *adapters: Adapter, prompt: str = "Once upon a time", scope: str = ""
) -> GenerationRequest:
    tokens = tuple(byte_token(byte) for byte in prompt.encode())
    return GenerationRequest(
        TokenPrompt(tokens), 24, GREEDY, adapters=adapters, context=RequestContext(scope)
    )


async def answers(backend: EngineBackend, *requests: GenerationRequest) -> list[Completion]:
    return await collect(fan_out(backend, list(requests)), len(requests))


async def text(backend: EngineBackend, *adapters: Adapter, prompt: str = "Once upon a time") -> str:
    [answer] = await answers(backend, asked(*adapters, prompt=prompt))
    return answer.text


POET, TERSE = Adapter("poet"), Adapter("terse")


async def test_an_adapter_changes_the_answer_and_leaves_no_trace(backend: EngineBackend) -> None:
    before = await text(backend)
    poet = await text(backend, POET)
    assert poet != before
    assert await text(backend) == before
    assert await text(backend, TERSE) not in {before, poet}
    assert await text(backend, POET) == poet


async def test_what_was_loaded_but_is_not_asked_for_changes_nothing(
    backend: EngineBackend, files: Files
) -> None:
    async with opened(replace(files, adapters=())) as plain:
        assert await text(plain) == await text(backend)


async def test_the_scale_is_the_requests_else_the_models(backend: EngineBackend) -> None:
    assert await text(backend, TERSE) == await text(backend, Adapter("terse", 0.5))
    assert await text(backend, TERSE) != await text(backend, Adapter("terse", 1.0))
    assert await text(backend, Adapter("terse", 0.0)) == await text(backend)


async def test_an_adapter_answers_to_its_number(backend: EngineBackend) -> None:
    assert await text(backend, Adapter("1")) == await text(backend, TERSE)


async def test_several_adapters_count_together_in_any_order(backend: EngineBackend) -> None:
    both = await text(backend, POET, TERSE)
    assert both == await text(backend, TERSE, POET)
    assert both not in {await text(backend, POET), await text(backend, TERSE)}


async def test_each_answer_in_a_mixed_crowd_is_the_one_it_has_alone(
    backend: EngineBackend,
) -> None:
    kinds: list[tuple[Adapter, ...]] = [(), (POET,), (TERSE,), (POET, TERSE)]
    prompts = [f"{word} upon a time" for word in ("Once", "Twice", "Thrice")]
    alone = {
        (prompt, kind): await text(backend, *kind, prompt=prompt)
        for prompt in prompts
        for kind in kinds
    }
    asked_for = [(prompt, kind) for _ in range(3) for prompt in prompts for kind in kinds]
    crowd = await answers(backend, *(asked(*kind, prompt=prompt) for prompt, kind in asked_for))
    assert [one.text for one in crowd] == [alone[case] for case in asked_for]


@pytest.mark.parametrize("draft_tokens", [0, 6])
async def test_a_prefix_is_found_again_with_the_same_adapters_alone(
    files: Files, draft_tokens: int
) -> None:
    async with opened(files, replace(OPTIONS, draft_tokens=draft_tokens)) as backend:
        cached = []
        for adapters in [(), (POET,), (Adapter("poet", 0.25),), (POET,), ()]:
            [answer] = await answers(backend, asked(*adapters, prompt="x" * 40))
            cached.append(answer.finished.usage.cached_tokens)
        assert cached == [0, 0, 0, 39, 39]


@pytest.mark.parametrize("adapters", [(Adapter("painter"),), (Adapter("2"),), (POET, POET)])
async def test_adapters_that_are_not_there_or_twice_are_refused(
    backend: EngineBackend, adapters: tuple[Adapter, ...]
) -> None:
    with pytest.raises(InvalidRequestError, match="adapters are poet, terse") as refusal:
        await text(backend, *adapters)
    assert refusal.value.param == "lora"


async def test_a_model_without_adapters_refuses_them(files: Files) -> None:
    async with opened(replace(files, adapters=())) as backend:
        with pytest.raises(UnsupportedParameterError) as refusal:
            await text(backend, POET)
    assert refusal.value.param == "lora"


@pytest.mark.parametrize("wrong", ["shape", "architecture", "no adapter", "no file"])
async def test_a_file_that_is_no_adapter_of_the_model_is_an_error_that_names_it(
    files: Files, tmp_path: Path, wrong: str
) -> None:
    path = tmp_path / "wrong.gguf"
    match wrong:
        case "shape":
            write_adapter(path, files.model, widen=1)
        case "architecture":
            write_adapter(path, files.model, architecture="qwen2")
        case "no adapter":
            path = files.model
        case _:
            pass
    broken = replace(files, adapters=(*files.adapters, AdapterFile("wrong", path)))
    with pytest.raises(ModelFileError, match=f"{path.name} as a LoRA adapter"):
        async with opened(broken):
            pass
