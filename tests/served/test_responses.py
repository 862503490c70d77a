"""Responses of the real model: grammars are held, the next turn finds its prefix."""

import re
from typing import Any
from uuid import uuid4

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


def test_stored_documents_are_searched_and_cited_word_by_word(sdk: OpenAI) -> None:
    text = "The Danube rises in the Black Forest and ends in the Black Sea, after 2,850 kilometres."
    documents = [{"id": "river", "text": text}, {"id": "bread", "text": "Bread rises by yeast."}]
    name = f"rivers-{uuid4().hex[:8]}"
    body = {"collection": name, "documents": documents}
    sdk.post("/rag/documents", body=body, cast_to=object)
    tool: Any = {"type": "file_search", "vector_store_ids": [name], "max_num_results": 1}
    choices: list[Any] = ["auto", {"type": "file_search"}]
    for choice in choices:
        response = sdk.responses.create(
            model=MODEL,
            input="How long is the Danube?",
            tools=[tool],
            tool_choice=choice,
            include=["file_search_call.results"],
            max_output_tokens=-1,
            temperature=0,
            store=False,
        )
        search = response.output[0]
        assert search.type == "file_search_call"
        assert search.queries[0] == "How long is the Danube?"
        assert [one.text for one in search.results or []] == [text]
        (message,) = [item for item in response.output if item.type == "message"]
        (part,) = message.content
        assert part.type == "output_text"
        for citation in part.annotations:
            assert citation.type == "file_citation"
            assert citation.file_id == "river"
            extensions = citation.model_extra or {}
            span = extensions["span"]
            assert extensions["quote"] == text[span["start"] : span["end"]]
