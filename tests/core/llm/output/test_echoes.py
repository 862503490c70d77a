import pytest

from llm_api.core.llm.output.echoes import json_meaning, may_say_nothing, says_nothing

CALL = '{"name": "now", "arguments": {"zone": "UTC"}}'
RESULT = '{"time": 12}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        CALL,
        f"{CALL}\n{CALL}",
        f"[{CALL}]",
        f"```json\n{CALL}\n```",
        f"```\n{CALL}",
        f"<tool_call>{CALL}</tool_call>",
        f"<tool_response>\n{RESULT}\n</tool_response>",
        '{ "time":12.0 }',
        "<tools></tools>",
        f"{{{CALL}}}",
        CALL[:-1],
    ],
)
def test_calls_and_results_say_nothing(text: str) -> None:
    assert all(may_say_nothing(text[:end]) for end in range(len(text)))
    assert says_nothing(text, ["no JSON", RESULT])


@pytest.mark.parametrize(
    "text",
    [
        "Noon.",
        f"It is {RESULT}",
        f"{RESULT} is it",
        f"{CALL} is the call.",
        '{"time": 13}',
        '{"name": "now"}',
        "[]",
        "[" * 9999,
    ],
)
def test_all_else_is_an_answer(text: str) -> None:
    assert not says_nothing(text, [RESULT])


@pytest.mark.parametrize("text", ["Noon", "`x", "<b>", "[1]", "```python", "to"])
def test_answer_that_begins_in_words_is_shown_at_once(text: str) -> None:
    assert not may_say_nothing(text)


def test_json_texts_of_one_value_mean_the_same() -> None:
    assert json_meaning('{"a": 1, "b": [2.0]}') == json_meaning('{"b":[2],"a":1e0}')
    assert json_meaning("true") != json_meaning("1")
    assert json_meaning("1e999") != json_meaning("1")
    assert json_meaning("{broken") == "{broken"
