"""What a backend cannot do is refused by the name of the parameter that asks for it."""

from dataclasses import replace

import pytest

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.capabilities import EVERYTHING, Capabilities
from llm_api.core.llm.types import (
    ChatPrompt,
    ChoiceFormat,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    Message,
    RegexFormat,
    Sampling,
    TextPrompt,
    TokenPrompt,
    ToolChoice,
    ToolSpec,
)

PLAIN = GenerationRequest(ChatPrompt((Message("user", "Hi"),)), max_tokens=8)
CHAT_ONLY = Capabilities(frozenset({"chat"}), frozenset({"temperature"}))
TOOLS = ChatPrompt(PLAIN.prompt.messages, tools=(ToolSpec("f"),))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (replace(PLAIN, prompt=TextPrompt("a")), "prompt"),
        (replace(PLAIN, prompt=TokenPrompt((1,))), "prompt"),
        (replace(PLAIN, prompt=TOOLS), "tools"),
        (replace(PLAIN, tool_choice=ToolChoice("required", frozenset({"f"}))), "tool_choice"),
        (replace(PLAIN, output_format=JSONFormat({})), "response_format"),
        (replace(PLAIN, output_format=RegexFormat("a")), "guided_regex"),
        (replace(PLAIN, output_format=ChoiceFormat(("a",))), "guided_choice"),
        (replace(PLAIN, output_format=GrammarFormat("a")), "grammar"),
        (replace(PLAIN, top_logprobs=0), "logprobs"),
        (replace(PLAIN, ignore_eos=True), "ignore_eos"),
        (replace(PLAIN, sampling=Sampling(top_k=3)), "top_k"),
        (replace(PLAIN, sampling=Sampling(seed=3)), "seed"),
        (replace(PLAIN, sampling=Sampling(dry_multiplier=0.8)), "dry_multiplier"),
        (replace(PLAIN, sampling=Sampling(xtc_probability=0.5)), "xtc_probability"),
        (replace(PLAIN, sampling=Sampling(dynatemp_range=0.5)), "dynatemp_range"),
    ],
)
def test_each_demand_is_refused_by_name_and_met_by_a_backend_that_can(
    request_: GenerationRequest, param: str
) -> None:
    with pytest.raises(UnsupportedParameterError) as refusal:
        CHAT_ONLY.check(request_)
    assert refusal.value.param == param
    EVERYTHING.check(request_)


def test_how_a_filter_works_asks_for_nothing_while_it_is_off() -> None:
    CHAT_ONLY.check(replace(PLAIN, sampling=Sampling(xtc_threshold=0.2, repeat_last_n=-1)))
    penalised = Sampling(repeat_penalty=1.1, repeat_last_n=-1)
    with pytest.raises(UnsupportedParameterError) as refusal:
        Capabilities(frozenset({"chat"}), frozenset({"repeat_penalty"})).check(
            replace(PLAIN, sampling=penalised)
        )
    assert refusal.value.param == "repeat_last_n"


def test_what_is_left_at_its_default_asks_for_nothing() -> None:
    CHAT_ONLY.check(replace(PLAIN, sampling=Sampling(temperature=0.3)))
