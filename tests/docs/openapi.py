"""`python -m tests.docs.openapi` writes docs/openapi anew: each service's file, its reference."""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr

from services.api.app import create_app as api
from services.api.settings import ApiSettings
from services.callback.app import create_app as callback
from services.callback.settings import CallbackSettings
from services.mock_comfyui.app import create_app as mock_comfyui
from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_kling.app import create_app as mock_kling
from services.mock_kling.settings import KlingSettings
from shared.health import Work, worker_app
from shared.temporal.codec import PayloadKeys
from tests.docs.pages import REFERENCES

COMMAND = ".venv/bin/python -m tests.docs.openapi"
SECRET = SecretStr("x" * 32)


def _polling(name: str) -> FastAPI:
    """A process that polls Temporal, which has the routes of every service and no other."""

    work = Work(lambda client: nullcontext(), PayloadKeys())
    return worker_app(f"genvideo {name}", work, stall_seconds=1, stop=lambda: None)


APPS: Mapping[str, Callable[[], FastAPI]] = {
    "api": lambda: api(ApiSettings()),
    "callback": lambda: callback(CallbackSettings(callback_secret=SECRET)),
    "mock-comfyui": lambda: mock_comfyui(ComfyuiSettings()),
    "mock-kling": lambda: mock_kling(KlingSettings()),
    "worker": lambda: _polling("worker"),
    "semaphore": lambda: _polling("semaphore"),
}


def document(name: str) -> str:
    """The file of one service, as its code has it."""
    return json.dumps(APPS[name]().openapi(), indent=1, ensure_ascii=False) + "\n"


def page(name: str) -> str:
    """The reference of one service, for people."""
    return reference(json.loads(document(name)), file=f"{name}.json", command=COMMAND)


Document = Mapping[str, Any]
WIDTH = 100
_BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "minLength": "at least {} long",
    "maxLength": "at most {} long",
}


def reference(document: Document, *, file: str, command: str) -> str:
    """The whole page; `file` is what it is made of, `command` what makes it."""
    info = document["info"]
    title = str(info["title"])
    lines = [f"# {title}: reference", ""]
    lines += [f"Generated from [{file}]({file}) by `{command}`; don't edit it."]
    if text := info.get("description"):
        lines += ["", *_paragraphs(text)]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines += ["", f"## `{method.upper()} {path}`", "", *_operation(document, operation)]
    return "\n".join(lines) + "\n"


def _operation(document: Document, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from _paragraphs(operation.get("description", operation["summary"]))
    if parameters := operation.get("parameters"):
        yield from ("", "| parameter | in | what |", "|---|---|---|")
        for each in parameters:
            said = each.get("description", "").rstrip(".")
            told = ". ".join(filter(None, (said, _kind(document, each))))
            name = f"`{each['name']}`" + (", required" if each.get("required") else "")
            yield f"| {name} | {each['in']} | {_cell(told)} |"
    yield from ("", "| status | what |", "|---|---|")
    for status, answer in sorted(operation["responses"].items()):
        codes = [f"`{code}`" for code in _codes(answer)]
        yield f"| {status} | {_cell(', '.join([answer['description'], *codes]))} |"
    yield from _example("Takes", operation.get("requestBody", {}))
    good = [told for status, told in operation["responses"].items() if status.startswith("2")]
    yield from _example("Gives", good[0] if good else {})


def _codes(answer: Mapping[str, Any]) -> list[str]:
    """By which codes a problem tells itself, where they are named."""
    problem = answer.get("content", {}).get("application/problem+json", {})
    shown = [each["value"] for each in problem.get("examples", {}).values()]
    shown += [problem["example"]] if "example" in problem else []
    return [str(each["code"]) for each in shown]


def _kind(document: Document, parameter: Mapping[str, Any]) -> str:
    """The type of a parameter, its bounds, and what it is where it isn't given."""
    schema = _plain(document, parameter["schema"])
    choices = ", ".join(f"`{each}`" for each in schema.get("enum", ()))
    told = [f"One of {choices}" if choices else str(schema.get("type", "value")).capitalize()]
    told += [form.format(schema[name]) for name, form in _BOUNDS.items() if name in schema]
    default = parameter["schema"].get("default")
    told += [] if default in (None, "") else [f"`{json.dumps(default)}` by default"]
    return ", ".join(told)


def _plain(document: Document, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without a reference, and without the null that it may be, too."""
    if "$ref" in schema:
        found = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return _plain(document, found)
    if "anyOf" in schema:
        return _plain(document, next(it for it in schema["anyOf"] if it.get("type") != "null"))
    return schema


def _example(heading: str, body: Mapping[str, Any]) -> Iterator[str]:
    for kind, content in list(body.get("content", {}).items())[:1]:
        several = [each["value"] for each in content.get("examples", {}).values()]
        shown = several[0] if several else content.get("example")
        yield from ("", f"{heading} `{kind}`" + (":" if shown is not None else "."))
        if isinstance(shown, str):
            yield from ("", "```text", shown.rstrip(), "```")
        elif shown is not None:
            yield from ("", "```json", wrapped(shown), "```")


def wrapped(value: Any, indent: int = 0, *, beside: int = 0) -> str:
    """JSON that is broken only where a line would be too long; so much stands beside it there."""
    whole = json.dumps(value, ensure_ascii=False)
    if len(whole) + indent + beside <= WIDTH or not isinstance(value, dict | list) or not value:
        return whole
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(name)}: {wrapped(each, indent + 2, beside=len(name) + 5)}"
            for name, each in value.items()
        ]
    else:
        parts = [wrapped(each, indent + 2, beside=1) for each in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([begin, *_joined(pad, parts), " " * indent + end])


def _joined(pad: str, parts: list[str]) -> Iterator[str]:
    for part in parts[:-1]:
        yield f"{pad}{part},"
    yield f"{pad}{parts[-1]}"


def _paragraphs(text: str) -> list[str]:
    return text.strip().split("\n")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write all of them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    REFERENCES.mkdir(exist_ok=True)
    for name in APPS:
        (REFERENCES / f"{name}.json").write_text(document(name), encoding="utf-8")
        (REFERENCES / f"{name}.md").write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
