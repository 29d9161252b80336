"""Blocks as Markdown; charts are left to the HTML, and their sentence remains."""

from collections.abc import Iterator

from loadtest.report.blocks import (
    Block,
    Cell,
    Chart,
    Code,
    Links,
    Notice,
    Section,
    Table,
    Text,
    Tiles,
)

_MARKS = {"good": "✅", "bad": "❌", "warn": "⚠️", "info": "ℹ️"}


def markdown(title: str, sections: list[Section]) -> str:
    """The whole report as one Markdown text."""
    lines = [f"# {title}", ""]
    for number, section in enumerate(sections, 1):
        lines += [f"## {number}. {section.title}", "", section.lead, ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    return "\n".join(lines)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block)
        case Notice():
            yield f"> {_MARKS[block.tone]} {block.text}"
        case Tiles():
            yield " · ".join(f"{name}: **{value}**" for name, value, _ in block.tiles)
        case Text():
            yield block.text
        case Code():
            yield from ("```sh", block.text, "```")
        case Links():
            yield from (f"- [{href}]({href}): {text}" for href, text in block.links)
        case Chart():
            yield f"*Chart in report.html: {block.caption}*"


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield from (f"**{table.caption}**", "")
    yield "| " + " | ".join(head.removeprefix("#") for head in table.heads) + " |"
    yield "|" + "|".join("---:" if head.startswith("#") else "---" for head in table.heads) + "|"
    for cells in table.rows:
        yield "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(cell: Cell) -> str:
    text = cell.text.replace("|", "\\|").replace("\n", " ")
    mark = f"{_MARKS[cell.tone]} " if cell.tone in ("good", "bad") else ""
    return f"{mark}[{text}]({cell.href})" if cell.href else f"{mark}{text}"
