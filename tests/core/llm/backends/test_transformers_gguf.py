"""The default GGUF through transformers' own loading, which dequantises it: 20 to 50 seconds."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from llm_api.core.llm.backends.transformers import (
    TransformersBackend,
    TransformersOptions,
    open_transformers,
)
from llm_api.core.llm.backends.transformers_loading import ModelSource
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import collect
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, Message, Sampling, TextPrompt
from tests.fakes import CARD

pytestmark = [
    pytest.mark.long,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

GREEDY = Sampling(temperature=0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend() -> AsyncGenerator[TransformersBackend, None]:
    path = default_model_path()
    source = ModelSource(str(path.parent), gguf_file=path.name, device="cpu")
    options = TransformersOptions(source, context_length=512)
    async with aclosing(await open_transformers(CARD, options)) as backend:
        yield backend


async def test_default_model_answers_alone_and_in_a_batch(backend: TransformersBackend) -> None:
    requests = [
        GenerationRequest(TextPrompt("The capital of France is the city of"), 4, GREEDY),
        GenerationRequest(
            ChatPrompt((Message("user", "What is the capital of France?"),)), 10, GREEDY
        ),
    ]
    together = await collect(fan_out(backend, requests), 2)
    assert "Paris" in together[0].text
    assert together[1].text == "The capital of France is Paris."
    alone = [(await collect(fan_out(backend, [request]), 1))[0] for request in requests]
    assert [answer.text for answer in together] == [answer.text for answer in alone]


async def test_conversation_is_laid_out_as_the_file_says(backend: TransformersBackend) -> None:
    encoded = backend._encoder.encode(ChatPrompt((Message("user", "Hi"),)))
    assert encoded.text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    control: Any = backend._vocabulary.control_tokens
    assert encoded.tokens.count(control["<|im_start|>"]) == 3
