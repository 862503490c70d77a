"""Measures how answers end that functions of the server took part in.

    python -m scripts.measure_answers [--model FILE.gguf] [--choice auto] [--show]

Twenty questions for the built-in functions, of the weather (a stand-in on loopback tells it) and
of dates, each whole and streamed, greedily, with a call demanded unless `--choice` says otherwise.
An answer ends well where its text is a sentence: no markup, no bare JSON, nothing cut. Told too:
answers in which an equal call was run twice, and those without any call.
"""

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlsplit

import httpx2

from scripts.bench.contestants import Command
from scripts.bench.process import free_port, running_server
from scripts.clients.loopback import HOST, Handler, serving

MAX_TOKENS: Final = 200
REQUEST_SECONDS: Final = 300.0

QUESTIONS: Final = (
    ("get_weather", "What is the weather in Paris?"),
    ("get_weather", "How warm is it in Tokyo now?"),
    ("get_weather", "Is it raining in London at the moment?"),
    ("get_weather_forecast", "Will it rain in Berlin tomorrow?"),
    ("get_weather", "Compare the weather in Rome and in Oslo."),
    ("get_weather", "What is the temperature in Boston in Fahrenheit?"),
    ("get_weather_forecast", "Do I need an umbrella in Madrid today?"),
    ("get_weather", "How strong is the wind in Hamburg?"),
    ("get_weather_forecast", "What is the forecast for Vienna for three days?"),
    ("get_weather", "Is it cold in Moscow?"),
    ("get_weekday", "Which day of the week is 2026-03-14?"),
    ("days_between", "How many days are there between 2026-01-01 and 2026-12-25?"),
    ("add_to_date", "What date is 45 days after 2026-02-10?"),
    ("business_days_between", "How many business days lie between 2026-05-01 and 2026-05-31?"),
    ("add_business_days", "What is the date 10 business days after 2026-06-01?"),
    ("get_weekday", "On which weekday did 2000-01-01 fall?"),
    ("days_between", "How long is it from 1999-07-20 to 2026-07-20?"),
    ("add_to_date", "What date was 3 weeks before 2026-08-15?"),
    ("get_weekday", "Which weekday is Christmas Eve, 2026-12-24?"),
    ("get_weekday", "Is 2026-07-04 a Saturday?"),
)

_MARKUP: Final = re.compile(r"</?tool|<\||</?think|```json|\[TOOL_CALLS\]")
_END: Final = re.compile(r"[.!?:][\"')*\]]*\s*\Z|(\d|°[CF])\s*\Z")


class WeatherStandIn(Handler):
    """Open-Meteo's two services: every town exists, and it rains there."""

    def do_GET(self) -> None:  # noqa: N802 - named by http.server
        url = urlsplit(self.path)
        asked = parse_qs(url.query)
        found = _place(asked["name"][0]) if url.path == "/v1/search" else _weather(asked)
        self.answer(200, {"content-type": "application/json"}, json.dumps(found).encode())


def _place(name: str) -> dict[str, Any]:
    place = {"name": name, "latitude": 48.8, "longitude": 2.3, "country_code": "FR"}
    place |= {"country": "France", "admin1": name, "population": 900_000, "feature_code": "PPL"}
    return {"results": [place | {"timezone": "Europe/Paris"}]}


def _weather(asked: dict[str, list[str]]) -> dict[str, Any]:
    times: dict[str, Any] = {"sunrise": "2026-02-14T07:58", "sunset": "2026-02-14T18:12"}
    head = {"latitude": 48.8, "longitude": 2.3, "timezone": "Europe/Paris"}
    if "current" in asked:
        values = dict.fromkeys(asked["current"][0].split(","), 7)
        return {**head, "current": {**values, "time": "2026-02-14T13:00", "weather_code": 61}}
    days = int(asked["forecast_days"][0])
    names = asked["daily"][0].split(",")
    daily = {name: [times.get(name, 9)] * days for name in names} | {"weather_code": [61] * days}
    return {**head, "daily": {**daily, "time": [f"2026-02-{14 + day:02}" for day in range(days)]}}


@dataclass(frozen=True, slots=True)
class Measured:
    """One answer: its text, why it ended, and the calls that were made for it."""

    text: str
    reason: str
    calls: tuple[tuple[str, str], ...]

    @property
    def fault(self) -> str | None:
        """Why it does not end with a sentence."""
        text = self.text.strip()
        if not text:
            return "empty"
        if _MARKUP.search(text):
            return "markup"
        if text.startswith(("{", "[")):
            return "bare JSON"
        if self.reason == "length":
            return "cut"
        return None if _END.search(text) else "no sentence"

    @property
    def is_repeated(self) -> bool:
        return len(set(self.calls)) < len(self.calls)


@contextmanager
def _served(model: Path | None, folder: Path) -> Iterator[httpx2.Client]:
    with ExitStack() as stack:
        weather = f"http://{HOST}:{stack.enter_context(serving(WeatherStandIn))}"
        port = free_port()
        variables = {
            "PORT": str(port),
            "EMBEDDING_BACKEND": "none",
            "PARALLEL": "1",
            "DATA_DIR": str(folder / "data"),
            "LOG_FILE": str(folder / "log.jsonl"),
            "WEATHER_GEOCODING_URL": weather,
            "WEATHER_FORECAST_URL": weather,
        }
        if model is not None:
            variables |= {"MODEL_PATH": str(model.resolve()), "CONTEXT_LENGTH": "8192"}
        command = Command(
            (sys.executable, "-m", "llm_api"), "/health/ready", tuple(variables.items())
        )
        stack.enter_context(running_server("the server", command, folder / "server.log", port))
        base = f"http://{HOST}:{port}/v1"
        yield stack.enter_context(httpx2.Client(base_url=base, timeout=REQUEST_SECONDS))


def _ask(
    client: httpx2.Client, choice: str, function: str, question: str, *, is_streamed: bool
) -> Measured:
    body = {
        "model": client.get("/models").json()["data"][0]["id"],
        "messages": [{"role": "user", "content": question}],
        "server_tools": [function],
        "tool_choice": choice,
        "temperature": 0,
        "seed": 1,
        "max_tokens": MAX_TOKENS,
        "stream": is_streamed,
    }
    answer = client.post("/chat/completions", json=body)
    answer.raise_for_status()
    if is_streamed:
        frames = [line for line in answer.text.splitlines() if line.startswith("data: {")]
        chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    else:
        chunks = [answer.json()]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    deltas = [choice["delta" if is_streamed else "message"] for choice in choices]
    calls = [call for delta in deltas for call in delta.get("server_tool_calls") or ()]
    return Measured(
        "".join(delta.get("content") or "" for delta in deltas),
        next(choice["finish_reason"] for choice in choices if choice.get("finish_reason")),
        tuple((call["name"], _canonical(call["arguments"])) for call in calls),
    )


def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, help="a GGUF file; the default model without it")
    parser.add_argument("--choice", choices=("auto", "required"), default="required")
    parser.add_argument("--show", action="store_true", help="every answer, in a line")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        _served(cast("Path | None", arguments.model), Path(folder)) as client,
    ):
        for is_streamed in (False, True):
            answers = [
                _ask(client, arguments.choice, *one, is_streamed=is_streamed) for one in QUESTIONS
            ]
            _tell(answers, is_streamed=is_streamed, shows=arguments.show)


def _tell(answers: list[Measured], *, is_streamed: bool, shows: bool) -> None:
    faults = Counter(answer.fault for answer in answers if answer.fault)
    print(
        f"{'streamed' if is_streamed else 'whole'}:"
        f" {len(answers) - faults.total()} of {len(answers)} end with a sentence;"
        f" {dict(faults)}; equal calls run twice in {sum(one.is_repeated for one in answers)};"
        f" without a call {sum(not one.calls for one in answers)}",
        flush=True,
    )
    for (_, question), answer in zip(QUESTIONS, answers, strict=True):
        if shows:
            print(f"  {answer.fault or 'ok'} | {question} | {answer.calls} | {answer.text!r}")


if __name__ == "__main__":
    main()
