"""Answers that must have a form: every finished one has it.

The model is the default one as Q4_0, which reads prompts several times as fast as the Q4_1 that is
served, and draws other words: fine where any words will do, in the right form.
"""

import json
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace

import jsonschema
import pytest
import pytest_asyncio

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.collect import Completion
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.tuning.quantise import quantise
from llm_api.core.llm.types import (
    ChatPrompt,
    ChoiceFormat,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    Message,
    OutputFormat,
    RegexFormat,
    RequestContext,
    Sampling,
    TextPrompt,
    ToolChoice,
    ToolSpec,
)
from tests.core.llm.backends.test_llama import OPTIONS, ask, complete, open_backend
from tests.core.llm.client_schemas import CLIENTS_SCHEMAS
from tests.core.llm.random_schemas import Schema, random_object_schema, random_schema

pytestmark = [
    pytest.mark.long,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]

WILD = Sampling(temperature=1.5)
FORMAT_CASES, CALL_CASES = 200, 40
"""By hand, ten times as many: the prompts of the calls take most of the time."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[EngineBackend, None]:
    quick = tmp_path_factory.mktemp("models") / "quick.gguf"
    quantise(default_model_path(), quick, "Q4_0", 2)
    options = replace(
        OPTIONS, context_length=1024, parallel=8, max_queue=FORMAT_CASES, draft_tokens=None
    )
    async with open_backend(options, quick) as backend:
        yield backend


def formed(
    output_format: OutputFormat, *, max_tokens: int = 96, sampling: Sampling = WILD
) -> GenerationRequest:
    request = ask("Fill in the form.", max_tokens=max_tokens, sampling=sampling)
    return replace(request, output_format=output_format)


async def test_every_finished_answer_to_a_random_schema_is_valid(backend: EngineBackend) -> None:
    schemas = [random_schema(seed) for seed in range(FORMAT_CASES)]
    requests = [
        formed(JSONFormat(schema), sampling=replace(WILD, seed=seed))
        for seed, schema in enumerate(schemas)
    ]
    answers = await complete(backend, *requests)
    _count_and_print("response_format", [
        (answer, answer.text, schema) for answer, schema in zip(answers, schemas, strict=True)
    ])  # fmt: skip


async def test_every_finished_call_of_a_random_function_is_valid(backend: EngineBackend) -> None:
    schemas = [random_object_schema(seed) for seed in range(CALL_CASES)]
    requests = []
    for seed, schema in enumerate(schemas):
        prompt = ChatPrompt(
            (Message("user", "Call the function."),),
            tools=(ToolSpec("act", "Acts.", schema), ToolSpec("rest", "Does nothing.")),
        )
        choice = ToolChoice("required", frozenset({"act"}), is_parallel=False)
        sampling = replace(WILD, seed=seed)
        requests.append(GenerationRequest(prompt, 96, sampling, tool_choice=choice))
    answers = await complete(backend, *requests)
    finished = []
    for answer, schema in zip(answers, schemas, strict=True):
        if answer.finished.reason == "tool_calls":
            [call] = answer.tool_calls
            assert call.name == "act"
            assert answer.text == ""
            finished.append((answer, call.arguments, schema))
        else:
            assert answer.finished.reason == "length"
    _count_and_print("calls", finished)


def _count_and_print(what: str, cases: list[tuple[Completion, str, Schema]]) -> None:
    outcomes: Counter[str] = Counter()
    for answer, text, schema in cases:
        if answer.finished.reason == "length":
            outcomes["cut"] += 1
            continue
        jsonschema.validate(json.loads(text), schema)
        outcomes["valid"] += 1
    sys.stdout.write(f"\n{what}: {dict(outcomes)} of {len(cases)}, none invalid\n")
    assert outcomes["valid"] >= 0.8 * len(cases)


@pytest.mark.parametrize(
    "sampling",
    [
        replace(WILD, typical_p=0.5),
        replace(WILD, top_k=1),
        replace(WILD, top_p=0.1, min_p=0.9),
        replace(WILD, mirostat=1),
        replace(WILD, mirostat=2),
        replace(WILD, repeat_penalty=10.0, presence_penalty=2.0, frequency_penalty=2.0),
        Sampling(temperature=0),
    ],
    ids=str,
)
async def test_no_way_of_sampling_leaves_the_form(
    backend: EngineBackend, sampling: Sampling
) -> None:
    choices = ("north", "north-east", "south")
    answers = await complete(backend, *[formed(ChoiceFormat(choices), sampling=sampling)] * 4)
    assert {answer.text for answer in answers} <= set(choices)
    assert {answer.finished.reason for answer in answers} == {"stop"}


async def test_a_banned_token_that_the_form_demands_is_used_all_the_same(
    backend: EngineBackend,
) -> None:
    everything = tuple((token, -100.0) for token in range(49152))
    [answer] = await complete(
        backend,
        formed(ChoiceFormat(("north",)), sampling=replace(WILD, logit_bias=everything)),
    )
    assert answer.text == "north"


A, B = 81, 82  # single characters come in their order, from "!" at 17


@pytest.mark.parametrize(("banned", "left"), [(A, "b"), (B, "a")])
async def test_a_ban_chooses_among_what_the_form_allows(
    backend: EngineBackend, banned: int, left: str
) -> None:
    sampling = Sampling(temperature=0, logit_bias=((banned, -100.0),))
    [answer] = await complete(backend, formed(RegexFormat("[ab]"), sampling=sampling))
    assert answer.text == left


@pytest.mark.parametrize(
    "grammar", ['start: "x" /[0-9]{3}/ "y"', 'root ::= "x" [0-9] [0-9] [0-9] "y"']
)
async def test_an_answer_is_a_sentence_of_the_grammar(backend: EngineBackend, grammar: str) -> None:
    [answer] = await complete(backend, formed(GrammarFormat(grammar)))
    assert answer.text[0] + answer.text[-1] == "xy"
    assert answer.text[1:-1].isdigit()
    assert len(answer.text) == 5


async def test_a_raw_continuation_takes_a_form_too(backend: EngineBackend) -> None:
    request = GenerationRequest(
        TextPrompt("The capital of France is"), 16, WILD, output_format=RegexFormat(" [A-Z][a-z]+")
    )
    [answer] = await complete(backend, request)
    assert answer.text[:1] == " "
    assert answer.text[1:].isalpha()


async def test_a_cut_answer_says_so(backend: EngineBackend) -> None:
    schema: Schema = {"type": "array", "items": {"type": "integer"}, "minItems": 50}
    [answer] = await complete(backend, formed(JSONFormat(schema), max_tokens=20))
    assert answer.finished.reason == "length"
    assert answer.finished.usage.completion_tokens == 20


async def test_forced_tokens_count_and_carry_log_probabilities_where_they_are_asked_for(
    backend: EngineBackend,
) -> None:
    fixed = formed(ChoiceFormat(("north by north-west",)))
    plain, with_logprobs = await complete(backend, fixed, replace(fixed, top_logprobs=1))
    assert plain.text == with_logprobs.text == "north by north-west"
    pieces = [item.chosen.data for item in with_logprobs.logprobs]
    assert b"".join(pieces) == b"north by north-west"
    assert plain.logprobs == ()
    assert plain.finished.usage.completion_tokens > 3


async def test_a_constrained_stranger_does_not_change_a_free_answer() -> None:
    """With the weights that are served: those of Q4_0 round otherwise in a batch than alone."""
    question = ask("Name three rivers.", max_tokens=24)
    schema: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 9}
    async with open_backend() as backend:
        [alone] = await complete(backend, question)
        beside, *_ = await complete(backend, question, *[formed(JSONFormat(schema))] * 3)
    assert beside.text == alone.text


async def test_the_same_seed_gives_the_same_form(backend: EngineBackend) -> None:
    request = formed(JSONFormat({"type": "object"}), sampling=replace(WILD, seed=5), max_tokens=24)
    first, second = [(await complete(backend, request))[0].text for _ in range(2)]
    assert first == second


@pytest.mark.parametrize(
    ("output_format", "param"),
    [
        (JSONFormat({"$ref": "#"}), "response_format"),
        (JSONFormat({"properties": {"a": {"not": {}}}}), "response_format"),
        (RegexFormat("(["), "guided_regex"),
        (GrammarFormat("start: ("), "grammar"),
    ],
)
async def test_what_cannot_be_enforced_is_refused(
    backend: EngineBackend, output_format: OutputFormat, param: str
) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        await complete(backend, formed(output_format))
    assert raised.value.param == param


LENIENT: list[Schema] = [
    {"type": "array", "items": {"enum": ["a", "b", "c", "d"]}, "uniqueItems": True, "maxItems": 3},
    {
        "type": "array",
        "items": {"type": "integer", "maximum": 9},
        "maxItems": 3,
        "contains": {"minimum": 4},
    },
    {"type": "string", "pattern": "^(?!q)", "maxLength": 3},
    {
        "oneOf": [
            {"type": "integer", "maximum": 99},
            {"type": "integer", "minimum": 9, "maximum": 200},
        ]
    },
    {"type": "string", "enum": ["a", "b"], "not": {"const": "a"}},
]


@pytest.mark.parametrize("part", LENIENT, ids="+".join)
@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_tool_that_cannot_be_held_is_checked_or_named(
    backend: EngineBackend, part: Schema, is_whole: bool
) -> None:
    parameters: Schema = {"type": "object", "properties": {"a": part}, "required": ["a"]}
    prompt = ChatPrompt((Message("user", "Call it."),), tools=(ToolSpec("act", "", parameters),))
    choice = ToolChoice("required", frozenset({"act"}), is_parallel=False)
    asked = GenerationRequest(
        prompt, 96, tool_choice=choice, context=RequestContext(is_whole=is_whole)
    )
    answers = await complete(
        backend,
        *(replace(asked, sampling=replace(WILD, seed=seed)) for seed in range(12)),
    )
    finished = [answer for answer in answers if answer.finished.reason == "tool_calls"]
    assert finished
    for answer in finished:
        [call] = answer.tool_calls
        problems = [
            *jsonschema.Draft202012Validator(parameters).iter_errors(json.loads(call.arguments))
        ]
        assert bool(problems) == (answer.finished.unenforced == ("act",))
    assert sum(not answer.finished.unenforced for answer in finished) >= len(finished) / 2


async def test_a_strict_tool_that_cannot_be_held_is_refused_by_its_name(
    backend: EngineBackend,
) -> None:
    schema: Schema = {"type": "object", "properties": {"a": {"uniqueItems": True}}}
    tool = ToolSpec("act", "", schema, is_strict=True, param="tools[1].function.parameters")
    prompt = ChatPrompt((Message("user", "Call it."),), tools=(ToolSpec("rest"), tool))
    choice = ToolChoice("auto", frozenset({"act", "rest"}))
    with pytest.raises(
        InvalidRequestError, match=r"The function 'act': .*'/properties/a'"
    ) as refusal:
        await complete(backend, GenerationRequest(prompt, 8, tool_choice=choice))
    assert refusal.value.param == "tools[1].function.parameters"


async def test_a_tuple_in_the_words_of_an_older_draft_is_held(backend: EngineBackend) -> None:
    parameters, _ = CLIENTS_SCHEMAS["zod 3 references"]
    prompt = ChatPrompt((Message("user", "Call it."),), tools=(ToolSpec("act", "", parameters),))
    choice = ToolChoice("required", frozenset({"act"}), is_parallel=False)
    asked = GenerationRequest(prompt, 200, tool_choice=choice)
    answers = await complete(
        backend, *(replace(asked, sampling=replace(WILD, seed=seed)) for seed in (2, 9, 12, 14, 18))
    )
    finished = [one for one in answers if one.finished.reason == "tool_calls"]
    assert finished
    for answer in finished:
        jsonschema.Draft7Validator(parameters).validate(json.loads(answer.tool_calls[0].arguments))


@pytest.mark.parametrize("name", CLIENTS_SCHEMAS)
async def test_tools_of_clients_libraries_are_called(backend: EngineBackend, name: str) -> None:
    parameters, _ = CLIENTS_SCHEMAS[name]
    prompt = ChatPrompt((Message("user", "Call it."),), tools=(ToolSpec("act", "", parameters),))
    choice = ToolChoice("required", frozenset({"act"}), is_parallel=False)
    asked = GenerationRequest(
        prompt, 200, tool_choice=choice, context=RequestContext(is_whole=True)
    )
    [answer] = await complete(backend, replace(asked, sampling=replace(WILD, seed=1)))
    if answer.finished.reason == "tool_calls" and not answer.finished.unenforced:
        draft = jsonschema.validators.validator_for(parameters)
        draft(parameters).validate(json.loads(answer.tool_calls[0].arguments))
