"""How long a model stays in memory after a request of Ollama's form."""

from dataclasses import dataclass, field

import httpx2
import pytest

from llm_api.api.mapping.ollama.keep_alive import to_seconds
from llm_api.core.access.caller import Caller
from llm_api.core.errors import InvalidRequestError, ModelInUseError, PermissionDeniedError
from tests.fakes import MODEL_ID, FakeServices

CHAT = "/api/chat"


@dataclass
class FakeAdministration:
    """Notes what is loaded and unloaded."""

    done: list[object] = field(default_factory=list)
    failure: Exception | None = None

    async def load(self, name: str, *, is_pinned: bool) -> None:
        self.done.append((name, is_pinned))

    async def unload(self, name: str, _wait_seconds: float) -> None:
        self.done.append(name)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def administration(services: FakeServices) -> FakeAdministration:
    fake = FakeAdministration()
    vars(services)["administration"] = fake
    return fake


def chat(keep_alive: object) -> dict[str, object]:
    turn = {"role": "user", "content": "Hi"}
    return {"model": MODEL_ID, "messages": [turn], "keep_alive": keep_alive}


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_zero_unloads_the_model_after_the_answer(
    client: httpx2.AsyncClient, administration: FakeAdministration, is_streamed: bool
) -> None:
    administration.failure = ModelInUseError("Others use it.")
    answer = await client.post(CHAT, json={**chat("0"), "stream": is_streamed})
    assert (answer.status_code, administration.done) == (200, [MODEL_ID])
    assert "x-ignored-parameters" not in answer.headers


async def test_a_negative_time_keeps_the_model(
    client: httpx2.AsyncClient, administration: FakeAdministration
) -> None:
    assert (await client.post(CHAT, json=chat(-1))).status_code == 200
    assert administration.done == [(MODEL_ID, True)]


async def test_any_other_time_is_ignored_by_name(
    client: httpx2.AsyncClient, administration: FakeAdministration
) -> None:
    for given, named in (("5m", "keep_alive"), (None, None)):
        answer = await client.post(CHAT, json=chat(given))
        assert answer.headers.get("x-ignored-parameters") == named
    assert not administration.done


async def test_without_a_prompt_zero_unloads_the_model_at_once(
    client: httpx2.AsyncClient, administration: FakeAdministration
) -> None:
    answer = await client.post("/api/generate", json={"model": MODEL_ID, "keep_alive": 0})
    assert (answer.json()["done_reason"], administration.done) == ("unload", [MODEL_ID])


async def test_a_key_that_is_no_administrators_decides_nothing(
    client: httpx2.AsyncClient,
    administration: FakeAdministration,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: Caller, *scopes: str) -> None:
        if "admin" in scopes:
            raise PermissionDeniedError("This API key lacks the scope 'admin'.")

    monkeypatch.setattr(Caller, "require", refuse)
    answer = await client.post(CHAT, json=chat(0))
    assert (answer.status_code, answer.headers["x-ignored-parameters"]) == (200, "keep_alive")
    unloaded = await client.post("/api/generate", json={"model": MODEL_ID, "keep_alive": 0})
    assert unloaded.status_code == 403
    assert not administration.done


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(0, 0), (300, 300), (-1, -1), ("5m", 300), ("1h30m", 5400), ("-1m", -60), ("10", 10),
     ("1.5s", 1.5), ("300ms", 0.3)],
)  # fmt: skip
def test_times_are_seconds_or_durations(said: float | str, seconds: float) -> None:
    assert to_seconds(said) == pytest.approx(seconds)


@pytest.mark.parametrize("said", ["", "soon", "m5", "5 m", "1d", "--1m", "nan"])
def test_other_words_are_no_time(said: str) -> None:
    with pytest.raises(InvalidRequestError, match="keep_alive"):
        to_seconds(said)
