"""Streams that are cut and servers that are killed, a few of each."""

import pytest

from scripts.stress.cases.cut_streams import cut_streams
from scripts.stress.cases.kills import killed
from scripts.stress.kept import Taken

pytestmark = pytest.mark.long


def event(number: int, type: str, **more: object) -> dict[str, object]:
    return {"sequence_number": number, "type": type, **more}


def taken(*numbers: int, text: str = "Hi") -> Taken:
    stream = Taken()
    stream.add(event(numbers[0], "response.created", response={"id": "resp_1"}))
    for number in numbers[1:-1]:
        stream.add(event(number, "response.output_text.delta", delta="Hi"))
    output = [{"content": [{"text": text}]}, {"type": "reasoning"}]
    stream.add(event(numbers[-1], "response.completed", response={"output": output}))
    return stream


def test_stream_is_judged_by_its_numbers_and_its_text() -> None:
    assert taken(0, 1, 2).problem() == ""
    assert [taken(0, 1, 2).is_whole, taken(0, 2, 3).is_whole] == [True, False]
    assert "numbered [0, 2, 3]" in taken(0, 2, 3).problem()
    assert "numbered [0, 1, 1, 2]" in taken(0, 1, 1, 2, text="HiHi").problem()
    assert "the deltas say 'Hi'" in taken(0, 1, 2, text="Ho").problem()


@pytest.mark.timeout(240)
async def test_cut_streams_are_taken_up_on_two_workers_without_a_fault(
    postgresql_url: str,
) -> None:
    outcome = await cut_streams(8, postgresql_url)
    assert outcome.is_as_claimed, outcome.happened


@pytest.mark.timeout(240)
async def test_killed_server_has_what_it_acknowledged() -> None:
    outcome = await killed(1)
    assert outcome.is_as_claimed, outcome.happened
