"""A request for every route, made from the OpenAPI document: routes to come are asked as well."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx2

Schema: TypeAlias = Mapping[str, Any]

_MAX_DEPTH = 12
_SCALARS: Mapping[object, Any] = {"integer": 1, "number": 1.0, "boolean": False, "null": None}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: `json`, or a form of `files` and `data`."""

    method: str
    path: str
    """As the document has it, with its holes."""
    url: str
    json: Any = None
    data: Mapping[str, str] | None = None
    files: Any = None

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"

    def send(self, client: httpx2.Client) -> httpx2.Response:
        return client.request(
            self.method, self.url, json=self.json, data=self.data, files=self.files
        )


def every_ask(
    document: Schema, given: Mapping[str, Any], bodies: Mapping[str, Any]
) -> Iterator[Ask]:
    """A request for each route; what deletes comes last.

    `given` has values by the names of properties and of holes in paths, and `?name` or
    `/path?name` of queries; `bodies` whole ones by route (`POST /chat`). With `stream` among its
    properties a body is sent once more, streamed.
    """
    asks = [
        ask
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for ask in _of_operation(document, given, bodies, method.upper(), path, operation)
    ]
    return iter(sorted(asks, key=lambda ask: ask.method == "DELETE"))


def _of_operation(
    document: Schema,
    given: Mapping[str, Any],
    bodies: Mapping[str, Any],
    method: str,
    path: str,
    operation: Schema,
) -> Iterator[Ask]:
    route = f"{method} {path}"
    url = httpx2.URL(_filled(path, operation, given))
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield Ask(method, path, str(url))
        return
    [(kind, media)] = list(content.items())[:1]
    if kind != "application/json":
        yield Ask(method, path, str(url), **_form(document, media["schema"], given))
        return
    body = bodies.get(route) or example(document, media["schema"], given)
    yield Ask(method, path, str(url), json=body)
    if isinstance(body, dict) and "stream" in _properties(document, media["schema"]):
        yield Ask(method, path, str(url), json={**body, "stream": True})


def _form(document: Schema, schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """Its fields as in `example`, and a small file."""
    properties = _properties(document, schema)
    [file] = [name for name, one in properties.items() if "binary" in str(one)]
    fields = example(document, schema, given)
    data = {name: value for name, value in fields.items() if name != file and value != {}}
    return {"data": data, "files": {file: ("own.txt", b"A river.")}}


def _filled(template: str, operation: Schema, given: Mapping[str, Any]) -> str:
    path, query = template, {}
    for parameter in operation.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] == "path":
            place = f"{path.split('{', maxsplit=1)[0]}{name}"  # what a name is of, the path says
            path = path.replace(f"{{{name}}}", str(given.get(place, given.get(name, "none"))))
        elif (value := given.get(f"{template}?{name}", given.get(f"?{name}"))) is not None:
            query[name] = value
    return str(httpx2.URL(path, params=query)) if query else path


def example(  # noqa: PLR0911 - one for each kind of schema
    document: Schema, schema: Schema, given: Mapping[str, Any], depth: int = 0
) -> Any:
    """A value of this schema: what it requires, and what is given by name."""
    if depth > _MAX_DEPTH:
        return None
    match schema:
        case {"$ref": reference}:
            return example(document, _at(document, reference), given, depth + 1)
        case {"anyOf": [option, *_]} | {"oneOf": [option, *_]} | {"allOf": [option, *_]}:
            return example(document, option, given, depth + 1)
        case {"const": value} | {"enum": [value, *_]}:
            return value
        case {"type": "object"}:
            properties = schema.get("properties", {})
            return {
                name: given[name]
                if name in given
                else example(document, properties[name], given, depth + 1)
                for name in properties
                if name in given or name in schema.get("required", ())
            }
        case {"type": "array"}:
            return [example(document, schema.get("items", {}), given, depth + 1)]
        case _:
            return _SCALARS.get(schema.get("type"), "text")


def _at(document: Schema, reference: str) -> Schema:
    place: Any = document
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    found: Schema = place
    return found


def _properties(document: Schema, schema: Schema) -> Mapping[str, Any]:
    if "$ref" in schema:
        schema = _at(document, schema["$ref"])
    found: Mapping[str, Any] = schema.get("properties", {})
    return found
