"""Blocks as one self-contained HTML page: no script, no font and no picture from elsewhere.

It has every text in English and, where the table does, in Chinese; the reader chooses.
"""

import os
import re
from html import unescape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from loadtest.report.blocks import Block, Section
from shared.texts import is_chinese, told

# Whatever gets into the page, nothing of it runs, and nothing is fetched or sent.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# What a drawing says beside its numbers: the names of axes, and of colours.
_DRAWN = re.compile(r'(<text class="name"[^>]*>|</i>)([^<]+)(</text>|</span>)')
_TEMPLATES = Path(__file__).parent / "templates"


def html(title: str, sections: list[Section], *, passed: bool, names: tuple[str, ...] = ()) -> str:
    """The whole report as one page; `names` are what its title has for `{1}`, `{2}`."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests["kind"] = _is_kind
    environment.filters["svg"] = _drawing
    environment.filters["named"] = _labelled
    environment.filters["both"] = both
    environment.filters["told"] = told
    return environment.get_template("report.html.j2").render(
        title=title.format(None, *names),
        heading=both(title).format(None, *names),
        sections=sections,
        passed=passed,
        chinese=is_chinese(os.environ),
        policy=POLICY,
        css=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
    )


def both(text: str) -> Markup:
    """A text, and beside it the Chinese one where there is one; the style shows one of them."""
    chinese = told(text)
    if chinese == text:
        return escape(text)
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(text, chinese)


def _drawing(svg: str) -> Markup:
    """Our own drawing, which escapes every text in it."""
    return Markup(_DRAWN.sub(_named, svg))  # noqa: S704


def _labelled(svg: str, by: str) -> Markup:
    """A drawing that the element of this id names; one that leads somewhere is no mere picture."""
    role = "group" if "<a " in svg else "img"
    return _drawing(svg.replace("<svg", f'<svg role="{role}" aria-labelledby="{by}"', 1))


def _named(found: re.Match[str]) -> str:
    begin, text, end = found.groups()
    name = unescape(text)
    if (chinese := told(name)) == name:
        return found[0]
    if end == "</span>":
        return f"{begin}{both(name)}{end}"
    one, other = (begin.replace("<text", f'<text lang="{each}"') for each in ("en", "zh"))
    return f"{one}{text}{end}{other}{escape(chinese)}{end}"


def _is_kind(block: Block, name: str) -> bool:
    return type(block).__name__ == name
