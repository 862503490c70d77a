"""What models write without a grammar: odd white space, broken calls, values in other ways."""

import json
import random

import pytest

from llm_api.core.llm.output.dialect import recognise
from llm_api.core.llm.output.formats import recognise_formats
from tests.core.llm.output.format_samples import SAMPLES
from tests.core.llm.output.reading import AUTO, NOW, WEATHER, Folded, fold, request

HERMES = ""
QWEN3_CODER = "<tool_call><function=<parameter="
PYTHONIC = "[func_name1("


def read(template: str, *pieces: str) -> Folded:
    return fold(recognise(template, {}).plan(request(AUTO)).reader, pieces)


def arguments(template: str, text: str) -> object:
    """The arguments of the only call, which must be JSON."""
    [[name, written]] = read(template, text).calls
    assert name == "get_weather"
    return json.loads(written)


def hermes(text: str) -> str:
    return f'<tool_call>{{"name": "get_weather", "arguments": {text}}}</tool_call>'


def tags(**values: str) -> str:
    written = "".join(
        f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in values.items()
    )
    return f"<tool_call>\n<function=get_weather>\n{written}</function>\n</tool_call>"


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        '<tool_call>{"name": "get_wealth", "arguments": {}}</tool_call>',
        '<tool_call>{"name": 5}</tool_call>',
        "<tool_call>get_weather(city)</tool_call>",
        hermes("null"),
        hermes('"Paris"'),
        '<tool_call>{"arguments": {}}</tool_call>',
        "a < b and <tool_cal",
    ],
)
def test_what_is_no_call_comes_out_unchanged(text: str) -> None:
    assert read(HERMES, text) == Folded(text)
    assert read(HERMES, *text) == Folded(text)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('{"city": "a\nb\tc"}', {"city": "a\nb\tc"}),
        ('{"city": "it\\\'s"}', {"city": "it\\'s"}),
        ('{"city": "}]{[\\" </tool_call>"}', {"city": '}]{[" </tool_call>'}),
        ('\n {"city" : "x" }\n ', {"city": "x"}),
    ],
)
def test_json_is_repaired_while_it_streams(written: str, meant: object) -> None:
    assert arguments(HERMES, hermes(written)) == meant


def test_text_behind_a_call_is_text() -> None:
    assert read(HERMES, hermes("{}") + "\n\nThat is it.\n") == Folded(
        "That is it.\n", calls=[["get_weather", "{}"]]
    )


def test_a_call_without_its_tail_is_a_call() -> None:
    text = '<tool_call>{"name": "get_weather", "arguments": {}}'
    assert read(HERMES, text) == Folded(calls=[["get_weather", "{}"]])
    assert read(HERMES, text + text).calls == [["get_weather", "{}"]] * 2


def test_arguments_arrive_as_they_are_written() -> None:
    reader = recognise(HERMES, {}).plan(request(AUTO)).reader
    reader.feed('<tool_call>{"name": "get_weather", "arguments": ')
    given = [len(reader.feed(character)) for character in '{"city": "Paris"}']
    assert given == [2, *[1] * 16], "the call with its first character, then each at once"


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        ({"city": "Paris", "days": "3"}, {"city": "Paris", "days": 3}),
        ({"city": '"quoted" \\ é'}, {"city": '"quoted" \\ é'}),
        ({"city": "5"}, {"city": "5"}),
        ({"city": " a\n\n  b \n"}, {"city": " a\n\n  b \n"}),
        ({"city": "a <b> </parameter"}, {"city": "a <b> </parameter"}),
        ({"exact": "True", "near": "['a', 'b']"}, {"exact": True, "near": ["a", "b"]}),
        ({"exact": "true", "near": '["a"]'}, {"exact": True, "near": ["a"]}),
        ({"unit": "celsius"}, {"unit": "celsius"}),
        ({"days": "about 3"}, {"days": "about 3"}),
        ({"unknown": "{'a': None}"}, {"unknown": {"a": None}}),
        ({}, {}),
    ],
)
def test_tagged_values_become_json_by_their_schema(
    values: dict[str, str], meant: dict[str, object]
) -> None:
    assert arguments(QWEN3_CODER, tags(**values)) == meant
    assert [call[0] for call in read(QWEN3_CODER, *tags(**values)).calls] == ["get_weather"]


def test_tags_may_stand_on_one_line_and_the_outer_one_be_missing() -> None:
    text = "<function=get_weather><parameter=city>Paris</parameter></function>"
    assert arguments(QWEN3_CODER, text) == {"city": "Paris"}


def test_bare_texts_in_tags_arrive_as_they_are_written() -> None:
    reader = recognise(QWEN3_CODER, {}).plan(request(AUTO)).reader
    reader.feed("<tool_call>\n<function=get_weather>\n<parameter=city>\nPa")
    assert [len(reader.feed(character)) for character in "ris"] == [1, 1, 1]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('city="Paris", days=3', {"city": "Paris", "days": 3}),
        ("city='it is', exact=True", {"city": "it is", "exact": True}),
        ("city='a,b)', near=['x', 'y']", {"city": "a,b)", "near": ["x", "y"]}),
        ('city="a \\"b\\"", exact=false', {"city": 'a "b"', "exact": False}),
        ("'Paris', 3", {"city": "Paris", "days": 3}),
        ("city=Paris", {"city": "Paris"}),
        ("city=None, days={'a': (1, 2)}", {"city": None, "days": {"a": [1, 2]}}),
        (' city = "x" ', {"city": "x"}),
        ("city='\\ud83d', days=1e999", {"city": "\ud83d", "days": float("inf")}),
        ("", {}),
    ],
)
def test_python_becomes_json(written: str, meant: dict[str, object]) -> None:
    assert arguments(PYTHONIC, f"[get_weather({written})]") == meant


def test_a_list_in_an_answer_is_no_call() -> None:
    for text in ("[1, 2]", "[get_wealth()]", "See [get_weather(city=1)]"):
        assert read(PYTHONIC, text) == Folded(text)


def test_no_text_makes_a_reader_fail_and_no_cut_makes_it_read_another_answer() -> None:
    """Answers stuck together from what all formats are made of."""
    randomness = random.Random(7)
    parts = [
        "get_weather",
        "now",
        "{",
        "}",
        '"',
        "\n",
        " ",
        "x",
        '{"city": "Paris"}',
        "<think>",
        "</think>",
    ]
    parts += [text for sample in SAMPLES for text in sample.format.texts() if text]
    templates = [sample.template + "</think>" for sample in SAMPLES]
    for _ in range(600):
        template = randomness.choice(templates)
        own = [text for form in recognise_formats(template) for text in form.texts() if text]
        text = "".join(randomness.choices(parts + own * 8, k=randomness.randint(1, 12)))
        assert read(template, *text) == read(template, text), (template, text)


def test_the_functions_of_these_tests_have_what_the_samples_call() -> None:
    assert {WEATHER.name, NOW.name} == AUTO.allowed
