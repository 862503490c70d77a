"""Requests of real clients as JSON, to be sent again by tests; without secrets, paths and chance.

What the server made up and the client sent back (ids, encrypted thoughts) is called by a number.
Who sends the requests again has other ids, in the same places of the answers: `Replay` puts those
in.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scripts.clients.relay import Exchange
from scripts.clients.whole import text_of, whole_answer

_APIS: Final = ("/v1/", "/api/")
_HEADERS: Final = (
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "openai-beta",
    "originator",
)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PLACEHOLDER: Final = re.compile(r"\w+#\d+")
_MADE: Final = ("id", "call_id", "encrypted_content", "signature")
_DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")
_LONG_TEXT: Final = 400
_BEGINNING: Final = 120
_SHARED: Final = "shared#"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request, and what of its answer is to come again.

    `made` are the names of what the server made up, by the places where they stand in its answer.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    status: int
    made: dict[str, str]
    says: str


def made_by_server(value: object, place: str = "") -> dict[str, str]:
    """Ids and encrypted thoughts in an answer, by their places: `output.0.id`."""
    match value:
        case dict():
            inner = [(f"{place}{name}", one) for name, one in value.items() if name != "tools"]
        case list():
            inner = [(f"{place}{index}", one) for index, one in enumerate(value)]
        case _:
            inner = []
    found: dict[str, str] = {}
    for name, one in inner:
        if isinstance(one, str) and name.rpartition(".")[2] in _MADE:
            found[name] = one
        else:
            found |= made_by_server(one, f"{name}.")
    return found


def shortened(value: Any) -> Any:
    """With the beginnings of long texts alone."""
    match value:
        case dict():
            return {name: shortened(inner) for name, inner in value.items()}
        case list():
            return [shortened(inner) for inner in value]
        case str() if len(value) > _BEGINNING:
            return f"{value[:_BEGINNING]}..."
        case _:
            return value


@dataclass(slots=True)
class Recorder:
    """Makes records of what one client sent from `folder`.

    Where it `shortens`, of long texts only their beginnings are kept: they are not ours to copy.
    """

    folder: Path
    shortens: bool = False
    _names: dict[str, str] = field(default_factory=dict)
    _uuids: dict[str, str] = field(default_factory=dict)
    _shared: dict[str, str] = field(default_factory=dict)

    def records(self, client: str, exchanges: Sequence[Exchange]) -> str:
        """The requests to the API and what they have in common, as JSON."""
        requests = [self._record(one) for one in exchanges if one.path.startswith(_APIS)]
        shared = [json.loads(one) for one in self._shared]
        found = {"client": client, "shared": shared, "requests": requests}
        return json.dumps(found, indent=1, ensure_ascii=False) + "\n"

    def _record(self, exchange: Exchange) -> dict[str, Any]:
        body = json.loads(self._clean(exchange.body.decode())) if exchange.body else None
        if self.shortens:
            body = shortened(body)
        path = self._clean(exchange.path)
        answer = whole_answer(exchange.answer.decode())
        made = {place: self._named(one) for place, one in made_by_server(answer).items()}
        return {
            "method": exchange.method,
            "path": path,
            "headers": {
                name: exchange.headers[name] for name in _HEADERS if name in exchange.headers
            },
            "body": self._with_references(body),
            "status": exchange.status,
            "made": made,
            "says": self._clean(text_of(answer)),
        }

    def _named(self, made: str) -> str:
        kind = made.partition("_")[0] if re.match(r"[a-z]+_", made) else "sealed"
        return self._names.setdefault(made, f"{kind}_#{len(self._names)}")

    def _clean(self, text: str) -> str:
        """Without what is of this machine, of this run, or of the server's making."""
        text = text.replace(str(self.folder), "/home/user")
        for made, name in self._names.items():
            text = text.replace(made, name)
        return _UUID.sub(self._uuid, _DIGEST.sub("0" * 64, text))

    def _uuid(self, found: re.Match[str]) -> str:
        number = len(self._uuids)
        return self._uuids.setdefault(found[0], f"00000000-0000-4000-8000-{number:012}")

    def _with_references(self, value: Any) -> Any:
        """Long texts, and lists of tools, are held once."""
        match value:
            case dict():
                return {
                    name: self._reference(inner)
                    if name == "tools"
                    else self._with_references(inner)
                    for name, inner in value.items()
                }
            case list():
                return [self._with_references(inner) for inner in value]
            case str() if len(value) > _LONG_TEXT:
                return self._reference(value)
            case _:
                return value

    def _reference(self, value: object) -> str:
        numbers = self._shared
        return numbers.setdefault(json.dumps(value), f"{_SHARED}{len(numbers)}")


def read_records(text: str) -> list[Recorded]:
    """What `Recorder` has made, whole again."""
    found = json.loads(text)
    shared = found["shared"]

    def whole(value: Any) -> Any:
        match value:
            case dict():
                return {name: whole(inner) for name, inner in value.items()}
            case list():
                return [whole(inner) for inner in value]
            case str() if value.startswith(_SHARED):
                return shared[int(value.removeprefix(_SHARED))]
            case _:
                return value

    return [Recorded(**{**one, "body": whole(one["body"])}) for one in found["requests"]]


@dataclass(slots=True)
class Replay:
    """What stands for what, while one client's requests are sent again."""

    _real: dict[str, str] = field(default_factory=dict)

    def filled(self, text: str) -> str:
        """A text of a record with what this server has made up."""
        return _PLACEHOLDER.sub(lambda found: self._real.get(found[0], found[0]), text)

    def take(self, recorded: Recorded, answer: Mapping[str, Any]) -> None:
        """Learn what the answer calls things. Raises KeyError where one of them is missing."""
        found = made_by_server(answer)
        self._real |= {name: found[place] for place, name in recorded.made.items()}
