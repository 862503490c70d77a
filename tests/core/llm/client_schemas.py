"""Schemas of tools as clients' libraries write them, word for word, with a call that is valid.

Of zod 4.6.7 by `z.toJSONSchema`; of pydantic 2.14 by `model_json_schema`, which the OpenAI Agents
SDK and LangChain send on; of zod 3 by zod-to-json-schema's default references.
"""

from typing import Any, Final

_2020: Final = "https://json-schema.org/draft/2020-12/schema"

_DURATION: Final = (
    r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?"
    r"(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$"
)
_HOST: Final = (
    r"^(?=.{1,253}\.?$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[-0-9a-zA-Z]{0,61}[0-9a-zA-Z])?)*\.?$"
)

CLIENTS_SCHEMAS: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "zod record": (
        {
            "$schema": _2020,
            "type": "object",
            "properties": {
                "labels": {
                    "type": "object",
                    "propertyNames": {"type": "string"},
                    "additionalProperties": {"type": "number"},
                }
            },
            "required": ["labels"],
            "additionalProperties": False,
        },
        {"labels": {"a": 1}},
    ),
    "zod record enum": (
        {
            "$schema": _2020,
            "type": "object",
            "properties": {
                "sizes": {
                    "type": "object",
                    "propertyNames": {"type": "string", "enum": ["s", "m"]},
                    "additionalProperties": {
                        "type": "integer",
                        "minimum": -9007199254740991,
                        "maximum": 9007199254740991,
                    },
                    "required": ["s", "m"],
                }
            },
            "required": ["sizes"],
            "additionalProperties": False,
        },
        {"sizes": {"s": 1, "m": 2}},
    ),
    "zod partial record": (
        {
            "$schema": _2020,
            "type": "object",
            "properties": {
                "sizes": {
                    "type": "object",
                    "propertyNames": {"type": "string", "enum": ["s", "m"]},
                    "additionalProperties": {
                        "type": "integer",
                        "minimum": -9007199254740991,
                        "maximum": 9007199254740991,
                    },
                }
            },
            "required": ["sizes"],
            "additionalProperties": False,
        },
        {"sizes": {"m": 1}},
    ),
    "zod record regex": (
        {
            "$schema": _2020,
            "type": "object",
            "properties": {
                "r": {
                    "type": "object",
                    "propertyNames": {"type": "string", "pattern": "^[a-z]+$"},
                    "additionalProperties": {"type": "boolean"},
                }
            },
            "required": ["r"],
            "additionalProperties": False,
        },
        {"r": {"abc": True}},
    ),
    "zod never": (
        {
            "$schema": _2020,
            "type": "object",
            "properties": {"query": {"type": "string"}, "page": {"not": {}}},
            "required": ["query"],
            "additionalProperties": False,
        },
        {"query": "x"},
    ),
    "zod discriminated": (
        {
            "$schema": _2020,
            "type": "object",
            "properties": {
                "shape": {
                    "oneOf": [
                        {
                            "type": "object",
                            "properties": {
                                "kind": {"type": "string", "const": "circle"},
                                "r": {"type": "number"},
                            },
                            "required": ["kind", "r"],
                            "additionalProperties": False,
                        },
                        {
                            "type": "object",
                            "properties": {
                                "kind": {"type": "string", "const": "square"},
                                "side": {"type": "number"},
                            },
                            "required": ["kind", "side"],
                            "additionalProperties": False,
                        },
                    ]
                }
            },
            "required": ["shape"],
            "additionalProperties": False,
        },
        {"shape": {"kind": "circle", "r": 1}},
    ),
    "zod tuple": (
        {
            "$schema": _2020,
            "type": "object",
            "properties": {
                "at": {
                    "type": "array",
                    "prefixItems": [{"type": "number"}, {"type": "number"}],
                    "items": False,
                    "minItems": 2,
                    "maxItems": 2,
                }
            },
            "required": ["at"],
            "additionalProperties": False,
        },
        {"at": [1, 2]},
    ),
    "zod nullable": (
        {
            "$schema": _2020,
            "type": "object",
            "properties": {
                "a": {"type": ["string", "null"]},
                "b": {},
                "c": {},
                "d": {"type": "null"},
                "e": {},
            },
            "additionalProperties": False,
        },
        {"a": None, "d": None},
    ),
    "zod formats": (
        {
            "$schema": _2020,
            "type": "object",
            "properties": {
                "dur": {
                    "type": "string",
                    "format": "duration",
                    "pattern": _DURATION,
                },
                "host": {
                    "type": "string",
                    "format": "hostname",
                    "pattern": _HOST,
                },
            },
            "required": ["dur", "host"],
            "additionalProperties": False,
        },
        {"dur": "P1D", "host": "a.example"},
    ),
    "pydantic set": (
        {
            "properties": {
                "tags": {
                    "items": {"type": "string", "enum": ["a", "b", "c"]},
                    "title": "Tags",
                    "type": "array",
                    "uniqueItems": True,
                    "maxItems": 3,
                }
            },
            "required": ["tags"],
            "title": "Tags",
            "type": "object",
        },
        {"tags": ["a", "b"]},
    ),
    "pydantic union": (
        {
            "$defs": {
                "Cat": {
                    "properties": {
                        "kind": {"const": "cat", "title": "Kind", "type": "string"},
                        "lives": {"title": "Lives", "type": "integer"},
                    },
                    "required": ["kind", "lives"],
                    "title": "Cat",
                    "type": "object",
                },
                "Dog": {
                    "properties": {
                        "kind": {"const": "dog", "title": "Kind", "type": "string"},
                        "name": {"title": "Name", "type": "string"},
                    },
                    "required": ["kind", "name"],
                    "title": "Dog",
                    "type": "object",
                },
            },
            "properties": {
                "pet": {
                    "discriminator": {
                        "mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"},
                        "propertyName": "kind",
                    },
                    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
                    "title": "Pet",
                }
            },
            "required": ["pet"],
            "title": "Pet",
            "type": "object",
        },
        {"pet": {"kind": "cat", "lives": 9}},
    ),
    "zod 3 references": (
        {
            "type": "object",
            "properties": {
                "from": {
                    "type": "object",
                    "properties": {"x": {"type": "number"}},
                    "required": ["x"],
                    "additionalProperties": False,
                },
                "to": {"$ref": "#/properties/from"},
                "pair": {
                    "type": "array",
                    "minItems": 2,
                    "maxItems": 2,
                    "items": [{"type": "number"}, {"type": "string"}],
                },
            },
            "required": ["from", "to", "pair"],
            "additionalProperties": False,
            "$schema": "http://json-schema.org/draft-07/schema#",
        },
        {"from": {"x": 1}, "to": {"x": 2}, "pair": [1, "a"]},
    ),
}
