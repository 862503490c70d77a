"""Lines that change between requests are moved for every door at one place."""

import logging

import httpx2
import pytest

from llm_api.core.llm.prompt.volatile import volatile_lines
from llm_api.core.llm.types import ChatPrompt, Message
from tests.api.bodies import chat
from tests.fakes import FakeBackend, FakeServices

TEXT = "Be kind.\nToday's date: Monday"
SYSTEM = {"role": "system", "content": TEXT}
USER = {"role": "user", "content": "Hi"}
KEPT = (Message("system", TEXT), Message("user", "Hi"))
MOVED = (Message("system", "Be kind."), Message("user", "Today's date: Monday\n\nHi"))
DOORS: dict[str, dict[str, object]] = {
    "/v1/chat/completions": chat(messages=[SYSTEM, USER]),
    "/v1/responses": {"instructions": TEXT, "input": "Hi", "store": False, "model": "default"},
    "/api/chat": {"model": "default", "messages": [SYSTEM, USER], "stream": False},
}


@pytest.mark.parametrize("path", DOORS)
async def test_a_volatile_line_is_moved_where_the_settings_name_it(
    client: httpx2.AsyncClient,
    services: FakeServices,
    backend: FakeBackend,
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for kinds, messages in (((), KEPT), (volatile_lines(["today's date*"]), MOVED)):
        services.volatile_lines = kinds
        with caplog.at_level(logging.DEBUG, logger="llm_api.api.answers"):
            answer = await client.post(path, json=DOORS[path])
        assert answer.status_code == 200, answer.text
        prompt = backend.requests[-1].prompt
        assert isinstance(prompt, ChatPrompt)
        assert prompt.messages == messages
    assert "volatile lines of the system prompt were moved: today's date*" in caplog.text
