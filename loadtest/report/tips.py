"""Tooltips of shapes in a drawing: a text in both languages; every text passes through `escape`."""

from html import escape

from loadtest.report.blocks import Cell
from shared.texts import told

# A text with blanks, and what stands in them; a cell of a user's or a machine's stays as it is.
Tip = tuple[str | Cell, ...]


def tipped(name: str, shape: str, tip: Tip) -> str:
    """A shape with its tooltip; once in each language, where they differ."""
    text, *values = tip
    english = _filled(str(text), [_as_it_is(value) for value in values])
    chinese = _filled(told(str(text)), [_in_chinese(value) for value in values])
    if english == chinese:
        return f"<{name} {shape}><title>{escape(english)}</title></{name}>"
    both = (("en", english), ("zh", chinese))
    return "".join(
        f'<{name} lang="{each}" {shape}><title>{escape(said)}</title></{name}>'
        for each, said in both
    )


def _filled(text: str, values: list[str]) -> str:
    return text.format(None, *values)


def _as_it_is(value: str | Cell) -> str:
    return value.text if isinstance(value, Cell) else value


def _in_chinese(value: str | Cell) -> str:
    return value.text if isinstance(value, Cell) else told(value)
