"""Responses of the real model: grammars are held, the next turn finds its prefix."""

import re
from typing import Any

from openai import OpenAI

from tests.served.conftest import MODEL


def test_input_of_a_custom_tool_is_held_to_its_grammar(sdk: OpenAI) -> None:
    lark = 'start: verb " " DIGIT~3\nverb: "add" | "say \\"no\\""\n%import common.DIGIT\n'
    formats: list[tuple[dict[str, Any], str]] = [
        ({"syntax": "regex", "definition": "(yes|no)\n[0-9]{3}"}, "(yes|no)\n[0-9]{3}"),
        ({"syntax": "lark", "definition": lark}, '(add|say "no") [0-9]{3}'),
    ]
    for format_, regex in formats:
        tool: Any = {"type": "custom", "name": "vote", "format": {"type": "grammar", **format_}}
        response = sdk.responses.create(
            model=MODEL,
            input="Vote.",
            tools=[tool],
            tool_choice={"type": "custom", "name": "vote"},
            max_output_tokens=80,
            store=False,
        )
        (call,) = response.output
        assert call.type == "custom_tool_call"
        assert re.fullmatch(regex, call.input), call.input


def test_next_turn_by_id_finds_the_prefix_of_the_one_before(sdk: OpenAI) -> None:
    first = sdk.responses.create(
        model=MODEL, input="word " * 200, instructions="Be brief.", max_output_tokens=4
    )
    second = sdk.responses.create(
        model=MODEL,
        input="Go on.",
        instructions="Be brief.",
        previous_response_id=first.id,
        max_output_tokens=4,
    )
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens - 1


def test_prompt_is_counted_as_the_model_reads_it(sdk: OpenAI) -> None:
    counted = sdk.responses.input_tokens.count(model=MODEL, input="Hi there.")
    response = sdk.responses.create(model=MODEL, input="Hi there.", max_output_tokens=1)
    assert response.usage is not None
    assert counted.input_tokens == response.usage.input_tokens
