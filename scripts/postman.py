"""The Postman collection out of the OpenAPI schema: `make postman`.

A folder for each tag, and a request for each endpoint with the schema's own example as its body.
`base_url` and `api_key` are variables of the collection. Knows nothing of the endpoints.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from llm_api.api.wiring import create_api

FILE: Final = Path(__file__).parent.parent / "postman_collection.json"
FORMAT: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

Node: TypeAlias = Mapping[str, Any]
"""A part of the schema, which is plain JSON."""


def collection(schema: Node) -> dict[str, Any]:
    """The collection of an OpenAPI schema, folders in the order of its tags. Pure."""
    folders: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in schema["tags"]}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            folders[operation["tags"][0]].append(_request(schema, path, method, operation))
    return {
        "info": {"name": "llm_api", "description": schema["info"]["description"], "schema": FORMAT},
        "auth": {
            "type": "bearer",
            "bearer": [{"key": "token", "value": "{{api_key}}", "type": "string"}],
        },
        "variable": [
            {"key": "base_url", "value": "http://127.0.0.1:8000"},
            {"key": "api_key", "value": ""},
        ],
        "item": [
            {"name": tag["name"], "description": tag["description"], "item": folders[tag["name"]]}
            for tag in schema["tags"]
            if folders[tag["name"]]
        ],
    }


def _request(schema: Node, path: str, method: str, operation: Node) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": method.upper(),
        "header": [],
        "description": operation.get("description", ""),
        "url": _url(path, operation.get("parameters", [])),
    }
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        body = _resolved(schema, content["schema"])
        if media_type == "application/json":
            request["header"] = [{"key": "Content-Type", "value": media_type}]
            request["body"] = {
                "mode": "raw",
                "raw": json.dumps(_example(schema, body), indent=2, ensure_ascii=False),
                "options": {"raw": {"language": "json"}},
            }
        else:
            request["body"] = {"mode": "formdata", "formdata": list(_form(body))}
    return {"name": operation["summary"], "request": request, "response": []}


def _url(path: str, parameters: list[Node]) -> dict[str, Any]:
    """Parameters of the path filled in as far as the schema has examples; queries switched off."""
    steps = [
        f":{step[1:-1]}" if step.startswith("{") else step for step in path.strip("/").split("/")
    ]
    url: dict[str, Any] = {
        "raw": "/".join(["{{base_url}}", *steps]),
        "host": ["{{base_url}}"],
        "path": steps,
    }
    if variables := [_parameter(one) for one in parameters if one["in"] == "path"]:
        url["variable"] = variables
    if query := [_parameter(one) for one in parameters if one["in"] == "query"]:
        url["query"] = [{**one, "disabled": True} for one in query]
    return url


def _parameter(parameter: Node) -> dict[str, Any]:
    schema = parameter["schema"]
    return {
        "key": parameter["name"],
        "value": str(schema.get("examples", [schema.get("default", "")])[0]),
        "description": parameter.get("description", ""),
    }


def _example(schema: Node, body: Node) -> Any:
    """The example of a body, else those of the fields that it needs."""
    if "examples" in body:
        return body["examples"][0]
    fields = {name: _resolved(schema, body["properties"][name]) for name in body["required"]}
    return {name: _example(schema, field) for name, field in fields.items()}


def _form(body: Node) -> Iterator[dict[str, Any]]:
    for name, field in body["properties"].items():
        is_file = field.get("items", field).get("format") == "binary"
        value = {"type": "file", "src": []} if is_file else {"type": "text", "value": ""}
        optional = {} if name in body["required"] else {"disabled": True}
        yield {"key": name, **value, "description": field.get("description", ""), **optional}


def _resolved(schema: Node, node: Node) -> Node:
    """What a `$ref` points to; anything else as it is."""
    while "$ref" in node:
        path = node["$ref"].removeprefix("#/").split("/")
        node = schema
        for step in path:
            node = node[step]
    return node


def text() -> str:
    """The collection of this server, as the file has it."""
    made = collection(create_api(version="0").openapi())
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
    print(FILE)


if __name__ == "__main__":
    main()
