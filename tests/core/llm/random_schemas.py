"""Random JSON Schemas that can be enforced, with short values: the same for the same seed."""

import random
from typing import Any

Schema = dict[str, Any]

WORDS = ["name", "size", "kind", "café", "a b", 'q"uote', "back\\slash", "x/y", "π", "", "name2"]
FORMATS = ["date", "time", "date-time", "email", "ipv4", "uuid"]
PATTERNS = ["^[A-Z]{2}[0-9]{2,4}$", "^(red|green|blue)$", "[0-9]-[0-9]", r"^\+?\d{3,5}$", "^a.c$"]


def random_schema(seed: int) -> Schema:
    """A schema of any type, three levels deep at most."""
    return _Generator(random.Random(seed)).schema(3)


def random_object_schema(seed: int) -> Schema:
    """A schema of a function's parameters."""
    return _Generator(random.Random(seed)).object(2)


class _Generator:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def schema(self, depth: int) -> Schema:
        leaves = [self.string, self.integer, self.number, self.choice, self.constant, self.boolean]
        branches = [self.object, self.object, self.array, self.union, self.shared]
        if depth == 0 or self._rng.random() < 0.25:
            return self._rng.choice(leaves)()
        return self._rng.choice(branches)(depth - 1)

    def object(self, depth: int) -> Schema:
        names = self._rng.sample(WORDS, self._rng.randrange(5))
        return {
            "type": "object",
            "properties": {name: self.schema(depth) for name in names},
            "required": [name for name in names if self._rng.random() < 0.7],
            "additionalProperties": False,
            "title": "Ignored",
        }

    def array(self, depth: int) -> Schema:
        least = self._rng.randrange(3)
        most = least + self._rng.randrange(3)
        return {"type": "array", "items": self.schema(depth), "minItems": least, "maxItems": most}

    def union(self, depth: int) -> Schema:
        return {"anyOf": [self.schema(depth) for _ in range(self._rng.randrange(1, 4))]}

    def shared(self, depth: int) -> Schema:
        reference = {"$ref": "#/$defs/part"}
        if depth < 2:  # definitions stand at the root alone
            return self.schema(depth)
        properties = {"first": reference, "second": {"anyOf": [reference, {"type": "null"}]}}
        return {
            "type": "object",
            "properties": properties,
            "required": ["first", "second"],
            "additionalProperties": False,
            "$defs": {"part": self.schema(0)},
        }

    def string(self) -> Schema:
        schema: Schema = {"type": "string"}
        match self._rng.randrange(3):
            case 0:
                schema["pattern"] = self._rng.choice(PATTERNS)
                schema["maxLength"] = 12
            case 1:
                schema["format"] = self._rng.choice(FORMATS)
            case _:
                schema["minLength"] = self._rng.randrange(4)
                schema["maxLength"] = schema["minLength"] + self._rng.randrange(12)
        return schema

    def integer(self) -> Schema:
        least = self._rng.randrange(-1000, 1000)
        return {"type": "integer", "minimum": least, "maximum": least + self._rng.randrange(2000)}

    def number(self) -> Schema:
        least = self._rng.uniform(-10, 10)
        return {"type": "number", "minimum": least, "exclusiveMaximum": least + 3}

    def choice(self) -> Schema:
        return {"enum": self._rng.sample([*WORDS, 1, -2.5, True, None, [1], {"a": "b"}], 3)}

    def constant(self) -> Schema:
        return {"const": self._rng.choice([*WORDS, 7, False, None, {"k": [1, "two"]}])}

    def boolean(self) -> Schema:
        return {"type": self._rng.choice(["boolean", "null", ["boolean", "null"]])}
