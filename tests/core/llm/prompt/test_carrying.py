"""Control tokens in what users wrote, against a plain search for the longest at each place."""

import random

import pytest

from llm_api.core.llm.prompt.carrying import Carrier, ControlTexts, Segment


def literals(texts: set[str], message: str) -> list[Segment]:
    carrier = Carrier(ControlTexts(texts))
    protected = carrier.protect(message)
    assert isinstance(protected, str)
    return list(carrier.segments(protected))


def expected(texts: set[str], message: str) -> list[str]:
    """What is carried of a message whose end is harmless."""
    found, at = [], 0
    while at < len(message):
        fitting = [text for text in texts if message.startswith(text, at)]
        if fitting:
            found.append(max(fitting, key=len))
            at += len(found[-1])
        else:
            at += 1
    return found


def test_the_longest_control_token_at_each_place_is_carried() -> None:
    draw = random.Random(1)
    for _ in range(300):
        texts = {"".join(draw.choices("ab.[", k=draw.randint(1, 5))) for _ in range(12)}
        message = "".join(draw.choices("ab.[x", k=40)) + "x"
        segments = literals(texts, message)
        assert "".join(segment.text for segment in segments) == message
        found = [segment.text for segment in segments if segment.is_literal]
        assert found == expected(texts, message)


@pytest.mark.parametrize("texts", [set[str](), {""}])
def test_without_control_tokens_only_placeholders_are_carried(texts: set[str]) -> None:
    assert literals(texts, "a\ue0000\ue001") == [
        Segment("a", is_literal=False),
        Segment("\ue000", is_literal=True),
        Segment("0\ue001", is_literal=False),
    ]


def test_what_stands_for_nothing_is_an_error() -> None:
    carrier = Carrier(ControlTexts({"<s>"}))
    carrier.protect("<s>")
    with pytest.raises(ValueError, match="changes what users wrote"):
        list(carrier.segments("\ue0001\ue001"))
