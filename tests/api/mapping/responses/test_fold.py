"""The fold: for any events of an engine, a strict client rebuilds the final object from the stream.

`Client` knows nothing of the fold: it does what the official SDK does, and asserts what clients
take for granted.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from llm_api.api.mapping.responses.fold import ResponseFold, Writing
from llm_api.api.mapping.responses.generation import (
    ResponseHead,
    to_generation_request,
    to_response,
)
from llm_api.api.mapping.responses.tools import to_tool_offer
from llm_api.api.models.responses.parameters import CreateResponse
from llm_api.api.models.responses.stream_events import ResponseEvent
from llm_api.core.errors import GenerationError
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.types import (
    Annotation,
    ChatPrompt,
    Event,
    Finished,
    FunctionExecuted,
    Message,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from llm_api.core.rag.answering.citations import Citation
from llm_api.core.rag.answering.searches import FoundCitation, FoundPassage, Searched
from llm_api.core.rag.types import Chunk, Span
from llm_api.core.rag.vector_store import Hit
from tests.api.openai_schemas import check_event
from tests.fakes import sampled

TOOLS = [
    {"type": "function", "name": "weather", "parameters": {}, "strict": None},
    {"type": "custom", "name": "shout"},
    {
        "type": "namespace",
        "name": "files",
        "description": "Files.",
        "tools": [{"type": "function", "name": "read", "parameters": {}}],
    },
]
OFFICIAL: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


PASSAGE = FoundPassage(
    Hit(
        Chunk("c", "file-1", 0, "cats sleep", Span(0, 10)),
        *("Cats", {}, 0.5, 0.5, None),
        collection="default",
    ),
    number=1,
)

CITATION = Citation(
    1, Span(0, 0), "file-1", Span(0, 4), "cats", "model", Span(0, 11), 0.9, supported=True
)


def new_fold(**fields: object) -> ResponseFold:
    body = {"model": "m", "input": "Hi", "tools": TOOLS, **fields}
    request = CreateResponse.model_validate(body)
    offer = to_tool_offer(request)
    prompt = ChatPrompt((Message("user", "Hi"),))
    asked = to_generation_request(request, prompt, offer, GenerationDefaults())
    head = ResponseHead("resp_1", 1_700_000_000, "m", is_stored=True)
    numbers = count()
    is_summary = fields.get("reasoning") is not None
    sealed = "<{}>".format
    shows_results = fields.get("include") is not None
    writing = Writing(
        offer,
        (),
        is_summary,
        shows_logprobs=True,
        shows_results=shows_results,
        sealed=sealed,
    )
    return ResponseFold(
        to_response(request, head, asked, offer),
        writing,
        lambda prefix: f"{prefix}_{next(numbers)}",
        lambda: 1_700_000_001,
    )


@dataclass
class Client:
    """Rebuilds a response out of the events of its stream."""

    response: dict[str, Any] = field(default_factory=dict)
    output: list[dict[str, Any]] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    number: int = -1
    has_ended: bool = False

    def take(self, event: dict[str, Any]) -> None:
        assert event["sequence_number"] == self.number + 1
        self.number += 1
        assert not self.has_ended
        assert not event.get("error")
        kind = event["type"].removeprefix("response.")
        if "response" in event:
            self._lifecycle(kind, event["response"])
        elif kind == "output_item.added":
            assert event["output_index"] == len(self.output)
            self.output.append(event["item"])
        else:
            assert event["output_index"] not in self.done
            self._inside(kind, event, self.output[event["output_index"]])

    def _lifecycle(self, kind: str, response: dict[str, Any]) -> None:
        assert (kind == "created") == (not self.response)
        if kind in ("created", "queued", "in_progress"):
            assert response["output"] == []
        else:
            self.has_ended = True
            assert self.done == list(range(len(self.output)))
        self.response = response

    def _inside(self, kind: str, event: dict[str, Any], item: dict[str, Any]) -> None:
        index = event["output_index"]
        if kind == "output_item.done":
            assert item["id"] == event["item"]["id"]
            self._check_grown(item, event["item"])
            assert self.done == list(range(index))
            self.done.append(index)
            self.output[index] = event["item"]
            return
        assert event["item_id"] == item["id"]
        if kind.endswith(".delta"):
            self._grow(kind, event, item)
        elif kind == "content_part.added":
            assert event["content_index"] == len(item["content"])
            item["content"].append(event["part"])
        elif kind == "reasoning_summary_part.added":
            assert event["summary_index"] == len(item["summary"])
            item["summary"].append(event["part"])
        else:
            self._compare(kind, event, item)

    def _grow(self, kind: str, event: dict[str, Any], item: dict[str, Any]) -> None:
        match kind:
            case "output_text.delta":
                part = item["content"][event["content_index"]]
                part["text"] += event["delta"]
                part["logprobs"] += event["logprobs"]
            case "custom_tool_call_input.delta":
                item["input"] += event["delta"]
            case "reasoning_text.delta":
                item.setdefault("content", [{"type": "reasoning_text", "text": ""}])
                item["content"][event["content_index"]]["text"] += event["delta"]
            case "reasoning_summary_text.delta":
                item["summary"][event["summary_index"]]["text"] += event["delta"]
            case _:
                item["arguments"] += event["delta"]

    def _compare(self, kind: str, event: dict[str, Any], item: dict[str, Any]) -> None:
        match kind:
            case "output_text.annotation.added":
                annotations = item["content"][event["content_index"]]["annotations"]
                assert event["annotation_index"] == len(annotations)
                annotations.append(event["annotation"])
            case "output_text.done":
                part = item["content"][event["content_index"]]
                assert (part["text"], part["logprobs"]) == (event["text"], event["logprobs"])
            case "content_part.done":
                assert item["content"][event["content_index"]] == event["part"]
            case "reasoning_summary_part.done":
                assert item["summary"][event["summary_index"]] == event["part"]
            case "custom_tool_call_input.done":
                assert item["input"] == event["input"]
            case "function_call_arguments.done" | "mcp_call_arguments.done":
                assert item["arguments"] == event["arguments"]
            case _:
                pass  # it repeats what the deltas said, which `output_item.done` is compared with

    def _check_grown(self, grown: dict[str, Any], done: dict[str, Any]) -> None:
        """What the deltas added up to is what the item is said to be, but for its last words."""
        last = {"status", "encrypted_content", "output", "error", "queries", "results"}
        assert {k: v for k, v in grown.items() if k not in last} == {
            k: v for k, v in done.items() if k not in last
        }


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TEXT = st.builds(
    TextDelta,
    WORDS,
    st.sampled_from([(), (sampled(b"a", -0.5, (b"b", float("-inf"))),)]),
)
THOUGHT = st.builds(ReasoningDelta, WORDS)
NAMES = st.sampled_from(["weather", "shout", "files__read", "made_up"])


@st.composite
def calls(draw: DrawFn, first: int) -> list[Event]:
    """Calls that begin in their order, and grow in any."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3))
    begun: list[Event] = []
    rests: dict[int, str] = {}
    for index, name in enumerate(names, first):
        begun.append(ToolCallStarted(index, f"call_{index}", name))
        rests[index] = json.dumps({"input": draw(WORDS)}, ensure_ascii=draw(st.booleans()))
        begun += draw(_pieces(rests))
    while any(rests.values()):
        begun += draw(_pieces(rests))
    return begun


@st.composite
def _pieces(draw: DrawFn, rests: dict[int, str]) -> list[Event]:
    """A piece of some of the calls that are not complete. Mutates `rests`."""
    made: list[Event] = []
    for index in [index for index, rest in rests.items() if rest]:
        length = draw(st.integers(1, len(rests[index])))
        made.append(ToolCallDelta(index, rests[index][:length]))
        rests[index] = rests[index][length:]
    return made


@st.composite
def answers(draw: DrawFn) -> list[Event]:
    """What an engine may say, without its end."""
    made: list[Event] = [Started(5)]
    begun = 0
    for kind in draw(st.lists(st.sampled_from("ttttrrcxsqq"), max_size=7)):
        if kind == "c":
            made += draw(calls(begun))
            begun += 3
        elif kind == "s":
            made.append(Annotation(Searched(("cats",), (PASSAGE,), is_error=draw(st.booleans()))))
        elif kind == "q":
            made.append(Annotation(FoundCitation(PASSAGE, CITATION)))
        elif kind == "x":
            call = ToolCall("own", "now", "{}")
            made.append(FunctionExecuted(0, call, '"noon"', draw(st.booleans()), 0.1))
        else:
            made += draw(st.lists(TEXT if kind == "t" else THOUGHT, min_size=1, max_size=3))
    return made


ENDS = st.sampled_from(["stop", "tool_calls", "length", "content_filter", "fail", "cancel"])


def stream_of(fold: ResponseFold, events: Sequence[Event], end: str) -> Iterator[ResponseEvent]:
    yield from fold.opening()
    for event in events:
        yield from fold.take(event)
    if end == "fail":
        yield from fold.fail("server_error", "It broke.")
    elif end == "cancel":
        yield from fold.cancel()
    else:
        yield from fold.take(Finished(end, Usage(5, 3, 1, 1)))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(answers(), ENDS, st.booleans())
def test_stream_adds_up_to_the_final_object(
    events: list[Event], end: str, is_summary: bool
) -> None:
    fold = new_fold(**({"reasoning": {"summary": "auto"}} if is_summary else {}))
    client = Client()
    for event in stream_of(fold, events, end):
        sent = json.loads(event.to_json())
        check_event(sent)
        OFFICIAL.validate_python(sent)
        client.take(sent)
    assert client.has_ended
    final = json.loads(fold.response.to_json())
    assert client.response == final
    assert client.output == final["output"]


@settings(max_examples=50, deadline=None)
@given(answers(), ENDS)
def test_text_of_the_answer_is_what_the_engine_said(events: list[Event], end: str) -> None:
    fold = new_fold()
    list(stream_of(fold, events, end))
    said = [event.text for event in events if isinstance(event, TextDelta)]
    shown = [
        part["text"]
        for item in json.loads(fold.response.to_json())["output"]
        if item["type"] == "message"
        for part in item["content"]
    ]
    assert "".join(shown) == "".join(said)


def kinds(fold: ResponseFold) -> list[str]:
    return [item.type for item in fold.response.output]


def finished(reason: str = "stop") -> Finished:
    return Finished(reason, Usage(5, 3))  # type: ignore[arg-type]


def test_call_has_no_empty_message_beside_it() -> None:
    fold = new_fold()
    for event in (TextDelta(""), ToolCallStarted(0, "c", "weather"), finished("tool_calls")):
        fold.take(event)
    assert kinds(fold) == ["function_call"]


def test_answer_that_says_nothing_is_an_empty_message() -> None:
    fold = new_fold()
    fold.take(ReasoningDelta("Hm."))
    fold.take(finished())
    assert kinds(fold) == ["reasoning", "message"]


def test_tools_get_their_own_names_back() -> None:
    fold = new_fold()
    for index, name in enumerate(["files__read", "shout"]):
        fold.take(ToolCallStarted(index, f"call_{index}", name))
    fold.take(ToolCallDelta(1, '{"input": "Hey \\u00e9\\n'))
    fold.take(ToolCallDelta(1, '\\"you\\""}'))
    fold.take(finished("tool_calls"))
    read, shout = json.loads(fold.response.to_json())["output"]
    assert (read["type"], read["name"], read["namespace"]) == ("function_call", "read", "files")
    assert (shout["type"], shout["input"]) == ("custom_tool_call", 'Hey é\n"you"')


def test_call_that_goes_on_after_its_end_is_a_failure_of_the_engine() -> None:
    fold = new_fold()
    fold.take(ToolCallStarted(0, "c", "weather"))
    fold.take(TextDelta("So."))
    with pytest.raises(GenerationError):
        fold.take(ToolCallDelta(0, "{}"))


def test_search_shows_what_it_found_only_where_that_is_wanted() -> None:
    searched = Annotation(Searched(("cats",), (PASSAGE,)))
    for include, results in ((None, 0), (["file_search_call.results"], 1)):
        fold = new_fold(include=include)
        for event in (searched, TextDelta("They sleep."), finished()):
            fold.take(event)
        search, _ = json.loads(fold.response.to_json())["output"]
        assert (search["status"], search["queries"]) == ("completed", ["cats"])
        assert len(search["results"] or ()) == results


def test_citation_stands_behind_the_text_so_far() -> None:
    fold = new_fold()
    cited = Annotation(FoundCitation(PASSAGE, CITATION))
    for event in (TextDelta("Cats sleep."), cited, TextDelta(" So."), finished()):
        fold.take(event)
    (message,) = json.loads(fold.response.to_json())["output"]
    (citation,) = message["content"][0]["annotations"]
    assert (citation["index"], citation["file_id"], citation["filename"]) == (11, "file-1", "Cats")
    assert (citation["span"], citation["quote"]) == ({"start": 0, "end": 4}, "cats")
