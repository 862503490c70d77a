"""OpenAI's own schemas of responses, which every answer and every event is held to."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from openai.types.responses import (
    FileSearchTool,
    ResponseFileSearchCallCompletedEvent,
    ResponseFileSearchCallInProgressEvent,
    ResponseFileSearchCallSearchingEvent,
    ResponseFileSearchToolCall,
    ResponseOutputTextAnnotationAddedEvent,
)
from pydantic import BaseModel
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FILE: Final = Path(__file__).with_name("openai_responses.json")
_URI: Final = "urn:openai"

FILE_SEARCH_EVENTS: Final[Sequence[type[BaseModel]]] = (
    ResponseFileSearchCallInProgressEvent,
    ResponseFileSearchCallSearchingEvent,
    ResponseFileSearchCallCompletedEvent,
    ResponseOutputTextAnnotationAddedEvent,
)


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    _add_file_search(document["components"]["schemas"])
    # OpenAI's servers send null until there is any, as all its examples do; its schema forgets it.
    own = document["components"]["schemas"]["Response"]["allOf"][2]["properties"]
    own["usage"] = {"anyOf": [own["usage"], {"type": "null"}]}
    return document


def _add_file_search(schemas: dict[str, Any]) -> None:
    """What the official SDK says of it. Mutates."""
    own: dict[str, tuple[type[BaseModel], list[str]]] = {
        "FileSearchToolCall": (ResponseFileSearchToolCall, ["OutputItem", "Item", "ItemResource"]),
        "FileSearchTool": (FileSearchTool, ["Tool"]),
        **{event.__name__: (event, []) for event in FILE_SEARCH_EVENTS},
    }
    for name, (model, unions) in own.items():
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
        for union in unions:
            schemas[union]["oneOf"].append({"$ref": f"#/components/schemas/{name}"})


@cache
def _registry() -> Registry[Any]:
    resource = DRAFT202012.create_resource(_document())
    registry: Registry[Any] = Registry().with_resource(_URI, resource)
    return registry


@cache
def validator(name: str) -> Draft202012Validator:
    """What checks values of the schema of this name."""
    reference = {"$ref": f"{_URI}#/components/schemas/{name}"}
    return Draft202012Validator(reference, registry=_registry())


@cache
def _event_schemas() -> dict[str, str]:
    """The schema of each type of event."""
    schemas = _document()["components"]["schemas"]
    own = [event.__name__ for event in FILE_SEARCH_EVENTS]
    return {
        **{schemas[name]["properties"]["type"]["enum"][0]: name for name in _document()["events"]},
        **{schemas[name]["properties"]["type"]["const"]: name for name in own},
    }


def check_event(event: dict[str, Any]) -> None:
    """Raises jsonschema's ValidationError, or KeyError for a type that OpenAI does not know."""
    validator(_event_schemas()[event["type"]]).validate(event)


def check(name: str, value: object) -> None:
    """Raises jsonschema's ValidationError."""
    validator(name).validate(value)
