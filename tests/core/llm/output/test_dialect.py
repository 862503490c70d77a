"""What an answer may be, and what it is read as: both halves of a plan, side by side."""

import dataclasses

import pytest

from llm_api.core.llm.output.dialect import Dialect, new_call_id, recognise
from llm_api.core.llm.output.formats import GPT_OSS
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    ChoiceFormat,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    Message,
    RegexFormat,
    TextPrompt,
    ToolCall,
    ToolChoice,
    ToolSpec,
)
from tests.core.llm.output.format_samples import ARGUMENTS, SAMPLES, Sample
from tests.core.llm.output.grammars import Grammar
from tests.core.llm.output.reading import AUTO, REQUIRED, Folded, fold, request

CALL = f'<tool_call>\n{{"name": "get_weather", "arguments": {ARGUMENTS}}}\n</tool_call>'
SECOND = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
OBJECT = f'{{"name": "get_weather", "arguments": {ARGUMENTS}}}'
FENCED = f"```json\n{OBJECT}\n```"
LISTED = f"<tools>\n{OBJECT}\n</tools>"

HERMES = recognise("", {})
THINKING = recognise("<think></think>", {})


def grammar(made: GenerationRequest, prompt_text: str = "", dialect: Dialect = HERMES) -> Grammar:
    return Grammar(dialect.plan(made, prompt_text).grammar)


def read(
    text: str, made: GenerationRequest, prompt_text: str = "", dialect: Dialect = HERMES
) -> Folded:
    return fold(dialect.plan(made, prompt_text).reader, [text])


one_call = pytest.mark.parametrize(
    "choice", [dataclasses.replace(AUTO, is_parallel=False), AUTO], ids=["single", "parallel"]
)


def test_without_tools_and_format_any_text_will_do() -> None:
    plan = HERMES.plan(request())
    assert plan.grammar is None
    assert fold(plan.reader, [CALL]) == Folded(CALL), "no call without tools that may be called"


@one_call
def test_in_auto_any_text_may_come_before_a_call(choice: ToolChoice) -> None:
    answers = grammar(request(choice))
    for text in ("Hello!", '{"name": "Alice"}', "a ```json\n{}\n``` b", "x <tool b", CALL):
        assert answers.accepts(text), text
        assert answers.accepts(f"Let me see. {CALL}")


@pytest.mark.parametrize(
    ("begun", "wrong"),
    [
        ('<tool_call>\n{"name": "', "foo"),
        ('<tool_call>\n{"name": "get_weather", "arguments": {"', "town"),
        ('<tool_call>\n{"name": "get_weather", "arguments": {"city": ', "5"),
        ('```json\n{"name": "get_weather", "arguments": {"', "town"),
        ('```\n{"name": "now", "arguments": {', '"a"'),
        ('{"name": "get_weather", "parameters": {"city": ', "5"),
        ('\n {"name": "get_weather", "arguments": {"city": ', "5"),
        ('x\n```json\n{\n  "name": "get_weather",\n  "arguments": {"city": ', "5"),
    ],
)
def test_behind_what_begins_a_call_its_schema_holds(begun: str, wrong: str) -> None:
    answers = grammar(request(AUTO))
    assert answers.begins(begun)
    assert not answers.begins(begun + wrong)


def test_several_calls_are_possible_only_where_they_are_allowed() -> None:
    both = f"{CALL}\n{SECOND}"
    single = ToolChoice("required", AUTO.allowed, is_parallel=False)
    assert grammar(request(AUTO)).accepts(both)
    assert grammar(request(REQUIRED)).accepts(both)
    assert not grammar(request(single)).begins(f"{CALL}\n<")
    assert not grammar(request(dataclasses.replace(single, mode="auto"))).begins(f"{CALL}\n<")
    assert read(both, request(single)).calls == [["get_weather", ARGUMENTS]]
    assert len(read(both, request(AUTO)).calls) == 2


def test_where_a_call_is_required_there_is_nothing_else() -> None:
    answers = grammar(request(REQUIRED))
    assert not any(answers.begins(text) for text in ("Hello", "```", "{", " "))
    assert answers.forces("") == '<tool_call>\n{"name": "'
    assert answers.forces('<tool_call>\n{"name": "n') == 'ow", "arguments": {}}\n</tool_call>'


def test_only_allowed_functions_can_be_called() -> None:
    made = request(ToolChoice("auto", frozenset({"now"})))
    assert grammar(made).accepts(SECOND)
    assert not grammar(made).begins('<tool_call>\n{"name": "g')
    assert read(CALL, made) == Folded(CALL)


@pytest.mark.parametrize(
    "text",
    [
        FENCED,
        FENCED.replace("json", ""),
        FENCED.replace("arguments", "parameters"),
        FENCED.replace("{", "{\n  ").replace(", ", ",\n  "),
        LISTED,
        OBJECT,
        f"\n{OBJECT}\n",
        OBJECT.replace("arguments", "parameters"),
    ],
)
def test_calls_that_stray_from_the_format_are_read(text: str) -> None:
    [[name, arguments]] = read(text, request(AUTO)).calls
    assert (name, "".join(arguments.split())) == ("get_weather", "".join(ARGUMENTS.split()))


@pytest.mark.parametrize(
    "text", [f"See: {OBJECT}", f"```python\n{OBJECT}\n```", FENCED.replace("weather", "wealth")]
)
def test_json_that_is_no_call_stays_text(text: str) -> None:
    assert read(text, request(AUTO)) == Folded(text)


def test_strays_are_read_in_every_format() -> None:
    mistral = recognise("[TOOL_CALLS]", {})
    for text in (FENCED, LISTED, OBJECT, CALL):
        assert read(text, request(AUTO), dialect=mistral).calls == [["get_weather", ARGUMENTS]]
        assert grammar(request(AUTO), dialect=mistral).accepts(text)
        wrong = text.replace('"Paris"', "5")
        assert not grammar(request(AUTO), dialect=mistral).begins(wrong)
    assert grammar(request(AUTO), dialect=mistral).accepts("<tool_call> is a tag")


every_format = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.template)


@every_format
def test_what_a_format_reads_its_grammar_accepts(sample: Sample) -> None:
    dialect = recognise(sample.template, {})
    assert grammar(request(REQUIRED), dialect=dialect).accepts(sample.text)
    assert grammar(request(AUTO), dialect=dialect).accepts(sample.text)
    if sample.format.is_anywhere:
        assert grammar(request(AUTO), dialect=dialect).accepts(f"Well.\n{sample.text}")


@every_format
@pytest.mark.parametrize("choice", [AUTO, REQUIRED], ids=["auto", "required"])
def test_a_format_refuses_wrong_functions_and_arguments(sample: Sample, choice: ToolChoice) -> None:
    answers = grammar(request(choice), dialect=recognise(sample.template, {}))
    for right, wrong in (("days", "dawn"), ("3", "x")):
        before, _, _ = sample.text.rpartition(right)
        assert answers.begins(before)
        assert not answers.begins(before + wrong), before + wrong


@every_format
def test_every_format_answers_in_text_as_well(sample: Sample) -> None:
    text = sample.format.text_opening + "It is sunny."
    dialect = recognise(sample.template, {})
    assert grammar(request(AUTO), dialect=dialect).accepts(text)
    assert read(text, request(AUTO), dialect=dialect) == Folded("It is sunny.")


def prose(choice: ToolChoice | None = None) -> GenerationRequest:
    return dataclasses.replace(request(choice), is_prose=True)


@every_format
def test_every_format_can_be_held_to_words(sample: Sample) -> None:
    answers = grammar(prose(), dialect=recognise(sample.template, {}))
    opening = sample.format.text_opening
    for words in ("It is [1] sunny.", "\n[x] done", "if a < b: c({1})", '```json\n{"a": 1}\n```'):
        assert answers.accepts(opening + words)
    assert not answers.accepts(opening)
    for text in (OBJECT, f"[{OBJECT}]", CALL, FENCED, LISTED, f"Well. {CALL}", f"Well. {FENCED}"):
        assert not answers.accepts(opening + text), text
    if sample.format.trigger:
        assert not answers.accepts(f"Well.\n{sample.text}")


@every_format
def test_words_before_a_call_are_held_to_no_tags(sample: Sample) -> None:
    answers = grammar(prose(AUTO), dialect=recognise(sample.template, {}))
    assert answers.accepts(sample.text)
    assert answers.accepts(sample.format.text_opening + "It is sunny.")
    assert not answers.begins(f"{sample.format.text_opening}<tool_response>")
    if sample.format.is_anywhere:
        assert answers.accepts(f"Well.\n{sample.text}")


def tool(**properties: JSON) -> ToolSpec:
    return ToolSpec("f", "", {"type": "object", "properties": properties})


@every_format
def test_optional_parameters_may_be_left_out(sample: Sample) -> None:
    """Every subset of three, in their order."""
    form = sample.format
    made = request(
        ToolChoice("required", frozenset({"f"})),
        tools=(tool(a={"type": "integer"}, b={"type": "boolean"}, c={"type": "string"}),),
    )
    answers = grammar(made, dialect=recognise(sample.template, {}))
    values: dict[str, JSON] = {"a": 1, "b": True, "c": "x"}
    for names in ("", "a", "b", "c", "ac", "bc", "abc"):
        arguments = {name: values[name] for name in names}
        text = form.write([("f", form.arguments.write(arguments))])
        assert answers.accepts(text), text


# Control tokens of the default model, as if they were those of gpt-oss.
CHANNELS = {
    "<|channel|>": 3,
    "<|message|>": 4,
    "<|start|>": 5,
    "<|end|>": 6,
    "<|constrain|>": 7,
    "<|call|>": 8,
}


def test_control_tokens_in_a_format_are_tokens_in_its_grammar() -> None:
    [sample] = [sample for sample in SAMPLES if sample.format is GPT_OSS]
    dialect = recognise("<|channel|>analysis<|message|> to=functions.", CHANNELS)
    assert dialect.marks_as_text == set(CHANNELS.values())
    thought = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
    preamble = "<|channel|>commentary<|message|>Wait.<|end|><|start|>assistant"
    final = "<|channel|>final<|message|>Sunny."
    auto = Grammar(dialect.plan(request(AUTO)).grammar, CHANNELS)
    for text in (thought + final, thought + preamble + sample.text, sample.text, final):
        assert auto.accepts(text), text
    assert not auto.begins("Sunny.")
    required = Grammar(dialect.plan(request(REQUIRED)).grammar, CHANNELS)
    assert required.accepts(thought + sample.text)
    assert not required.begins(thought + final)
    assert read(thought + preamble + sample.text, request(AUTO), dialect=dialect) == Folded(
        "Wait.", "Hm.", [["get_weather", ARGUMENTS]]
    )
    assert read(thought + final, request(), dialect=dialect) == Folded("Sunny.", "Hm.")


def test_channels_are_read_with_the_recipient_before_or_behind() -> None:
    dialect = recognise("<|channel|>analysis<|message|> to=functions.", CHANNELS)
    for text in (
        f" to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>{ARGUMENTS}",
        f"<|channel|>commentary to=functions.get_weather<|message|>{ARGUMENTS}<|call|>",
    ):
        assert read(text, request(AUTO), dialect=dialect).calls == [["get_weather", ARGUMENTS]]


def test_a_recipient_other_than_a_function_is_text() -> None:
    functionary = recognise(">>>${recipient}", {})
    text = f"all\nLet me see.\n>>>get_weather\n{ARGUMENTS}"
    assert read(text, request(AUTO), dialect=functionary) == Folded(
        "Let me see.", calls=[["get_weather", ARGUMENTS]]
    )
    answers = grammar(request(AUTO), dialect=functionary)
    assert answers.accepts(text)
    assert not answers.begins('all\nLet me see.\n>>>get_weather\n{"town')
    assert read("all\nHi", request(), dialect=functionary) == Folded("Hi")


def test_a_thought_may_come_first() -> None:
    thought = "<think>\nHm. <tool_call>\n</think>\n\n"
    for made, answer in ((request(AUTO), "Hi"), (request(AUTO), CALL), (request(REQUIRED), CALL)):
        assert grammar(made, dialect=THINKING).accepts(thought + answer)
        assert grammar(made, dialect=THINKING).accepts(answer)
        assert read(thought + answer, made, dialect=THINKING).reasoning == "Hm. <tool_call>"
    assert not grammar(request(REQUIRED), dialect=THINKING).begins(f"{thought}Hi")
    assert grammar(request(AUTO), dialect=THINKING).accepts("<think>never ends")
    assert not grammar(request(REQUIRED), dialect=THINKING).accepts("<think>never ends")


def test_a_thought_that_the_prompt_has_opened_ends_in_the_answer() -> None:
    prompt = "<|im_start|>assistant\n<think>\n"
    assert grammar(request(REQUIRED), prompt, THINKING).accepts(f"Hm.</think>{CALL}")
    assert not grammar(request(REQUIRED), prompt, THINKING).accepts(CALL)
    assert read("Hm.\n</think>\n\nHi", request(), prompt, THINKING) == Folded("Hi", "Hm.")


def test_a_thought_that_the_prompt_has_closed_does_not_come_again() -> None:
    prompt = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert not grammar(request(REQUIRED), prompt, THINKING).begins("<think>")
    assert grammar(request(REQUIRED), prompt, THINKING).accepts(CALL)


def test_a_model_that_does_not_think_writes_tags_as_text() -> None:
    assert read("<think>a</think>b", request()) == Folded("<think>a</think>b")


NUMBER: dict[str, JSON] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
}


@pytest.mark.parametrize(
    ("output_format", "right", "wrong"),
    [
        (JSONFormat({**NUMBER, "additionalProperties": False}), '{"n": 5}', '{"n": "'),
        (JSONFormat({"type": "array", "items": {"type": "boolean"}}), "[true, false]", "[1"),
        (RegexFormat(r"\d{4}-\d{2}/[a-z]+"), "2024-05/ab", "2024-x"),
        (RegexFormat("a\\/b\nc"), "a/b\nc", "a/b "),
        (ChoiceFormat(("yes", 'say "no"')), 'say "no"', "no"),
        (GrammarFormat('start: "a" B\nB: /[0-9]+/'), "a12", "b"),
    ],
)
def test_the_answer_has_the_format_that_is_asked_for(
    output_format: JSONFormat | RegexFormat | ChoiceFormat | GrammarFormat,
    right: str,
    wrong: str,
) -> None:
    made = request(output_format=output_format)
    assert grammar(made).accepts(right)
    assert not grammar(made).begins(wrong)
    assert not grammar(made).begins(f"{right} and more")
    assert read(right, made) == Folded(right)
    assert grammar(made, dialect=THINKING).accepts(f"<think>Hm.</think>{right}")
    either = request(AUTO, output_format)
    assert grammar(either).accepts(right)
    assert grammar(either).accepts(CALL)
    assert not grammar(either).begins("Hello")
    assert read(CALL, either).calls == [["get_weather", ARGUMENTS]]


def test_json_in_a_format_that_looks_like_a_call_stays_text() -> None:
    made = request(AUTO, JSONFormat({"type": "string"}))
    text = f'"{CALL}"'
    assert read(text, made) == Folded(text)
    assert read(OBJECT, made) == Folded(OBJECT)


def test_a_format_in_a_channel_is_all_text() -> None:
    dialect = recognise("<|channel|>analysis<|message|> to=functions.", CHANNELS)
    made = request(AUTO, JSONFormat({"type": "string"}))
    text = '<|channel|>final<|message|>"<|end|>"'
    assert read(text, made, dialect=dialect) == Folded('"<|end|>"')


def test_json_has_no_room_for_white_space() -> None:
    answers = grammar(request(output_format=JSONFormat(NUMBER)))
    assert answers.forces("") == '{"n": '
    assert not answers.begins('{"n":  ')


def test_a_prompt_without_a_conversation_is_continued_as_it_is() -> None:
    made = GenerationRequest(TextPrompt("<think>"), 9, output_format=ChoiceFormat(("a",)))
    plan = THINKING.plan(made, "<think>")
    assert Grammar(plan.grammar).accepts("a")
    assert fold(plan.reader, ["<think>a</think>"]) == Folded("<think>a</think>")


@pytest.mark.parametrize(
    "parameters", [{}, {"type": "object"}, {"type": "object", "properties": {}}]
)
def test_a_function_without_parameters_takes_an_empty_object(
    parameters: dict[str, JSON],
) -> None:
    made = request(ToolChoice("required", frozenset({"f"})), tools=(ToolSpec("f", "", parameters),))
    only = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    assert grammar(made).accepts(only)
    assert not grammar(made).begins('<tool_call>\n{"name": "f", "arguments": {"')


def test_parameters_that_a_schema_explicitly_leaves_open_are_open() -> None:
    open_schema = ToolSpec("f", "", {"type": "object", "additionalProperties": True})
    made = request(ToolChoice("required", frozenset({"f"})), tools=(open_schema,))
    text = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
    assert grammar(made).accepts(text)


def test_a_hundred_functions_are_no_burden() -> None:
    tools = tuple(ToolSpec(f"function_{number}", "", NUMBER) for number in range(128))
    made = request(ToolChoice("auto", frozenset(tool.name for tool in tools)), tools=tools)
    answers = grammar(made)
    text = "Some words, then more of them. " * 40
    for number in (1, 127):
        call = f'{{"name": "function_{number}", "arguments": {{"n": '
        assert answers.begins(f"{text}```json\n{call}1")
        assert not answers.begins(f"{text}```json\n{call}x")
    assert answers.accepts(f'{text}```json\n{{"name": "function_128", "arguments": 5}}\n```')


def test_call_ids_are_like_those_of_openai() -> None:
    assert len(new_call_id()) == len("call_") + 24
    assert new_call_id() != new_call_id()


def test_a_history_in_the_prompt_does_not_change_what_is_read() -> None:
    call = ToolCall("call_1", "now", "{}")
    history = (Message("assistant", "", tool_calls=(call,)),)
    assert HERMES.plan(GenerationRequest(ChatPrompt(history), 5)).grammar is None
