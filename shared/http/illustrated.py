"""An OpenAPI document with an example in each field, and of each body that is a message."""

from collections.abc import Iterator, Mapping
from typing import Any

Examples = Mapping[str, Mapping[str, Any]]


def illustrate(document: dict[str, Any], examples: Examples) -> None:
    """Put in what `examples` has, by the names of the schemas; a body keeps what it has."""
    for name, schema in document["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            if field in examples.get(name, {}):
                told["examples"] = [examples[name][field]]
    for content in _contents(document):
        shown = _example(content.get("schema", {}), examples)
        if shown is not None and not {"example", "examples"} & set(content):
            content["example"] = shown


def _contents(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        for operation in operations.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for body in bodies:
                yield from body.get("content", {}).values()


def _example(schema: dict[str, Any], examples: Examples) -> Any:
    """None where it is no message, and no list of one, that there is an example of."""
    if "$ref" in schema:
        return examples.get(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        item = _example(schema["items"], examples)
        return None if item is None else [item]
    return None
