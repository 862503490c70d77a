"""Channels: gpt-oss thinks in `analysis`, calls in `commentary` and answers in `final`."""

from dataclasses import replace

from llm_api.core.llm.output.call_format import CallFormat
from llm_api.core.llm.output.pattern import Slot

_JSON = " <|constrain|>json<|message|>"

GPT_OSS = CallFormat(
    heads=(
        ("<|channel|>commentary to=functions.", Slot.NAME, _JSON),
        ("<|channel|>commentary to=functions.", Slot.NAME, " json<|message|>"),
        ("<|channel|>commentary to=functions.", Slot.NAME, "<|message|>"),
        ("<|channel|>analysis to=functions.", Slot.NAME, _JSON),
        ("<|channel|>analysis to=functions.", Slot.NAME, "<|message|>"),
    ),
    is_anywhere=False,
    takes_several=False,  # a call ends the turn
    text_opening="<|channel|>final<|message|>",
    preamble=("<|channel|>commentary<|message|>", "<|end|><|start|>assistant"),
    silent=(
        "<|start|>assistant",
        "<|channel|>final<|message|>",
        "<|channel|>commentary<|message|>",
        "<|end|>",
        "<|call|>",
    ),
)

GPT_OSS_RECIPIENT_FIRST = replace(
    GPT_OSS,
    heads=(
        (" to=functions.", Slot.NAME, "<|channel|>commentary" + _JSON),
        (" to=functions.", Slot.NAME, "<|channel|>commentary json<|message|>"),
        (" to=functions.", Slot.NAME, "<|channel|>commentary<|message|>"),
        (" to=functions.", Slot.NAME, "<|channel|>analysis" + _JSON),
    ),
)
