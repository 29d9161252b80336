"""Blocks as one self-contained HTML page: no script, no font and no picture from elsewhere."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from loadtest.report.blocks import Block, Section

# Whatever gets into the page, nothing of it runs, and nothing is fetched or sent.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_TEMPLATES = Path(__file__).parent / "templates"


def html(title: str, sections: list[Section], *, passed: bool) -> str:
    """The whole report as one page."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests["kind"] = _is_kind
    environment.filters["svg"] = Markup  # our own drawing, which escapes every text in it
    return environment.get_template("report.html.j2").render(
        title=title,
        sections=sections,
        passed=passed,
        policy=POLICY,
        css=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
    )


def _is_kind(block: Block, name: str) -> bool:
    return type(block).__name__ == name
