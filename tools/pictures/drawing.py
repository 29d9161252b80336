"""Small files of what a browser shows: few colours, and frames that follow one another."""

import html
import io
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page

COLOURS = 160
FRAME_MILLISECONDS = 700
LAST_MILLISECONDS = 4000
BAND = 34
TERMINAL = """<body style="margin:0;background:#14171c">
<pre style="margin:0;padding:18px 22px;color:#e6e9ee;font:15px/1.4 monospace">{}</pre></body>"""


def shot(page: Page) -> Image.Image:
    """What the page shows now."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save(image: Image.Image, target: Path) -> None:
    """As a PNG of few colours, which text and plain areas don't miss."""
    image.quantize(COLOURS).save(target, optimize=True)


def terminal(page: Page, command: str, said: str, target: Path) -> None:
    """A command and the last screen of what it printed."""
    lines = [f"$ {command}", *re.sub(r"\S*/reports/", "reports/", said).splitlines()[-32:]]
    page.set_content(TERMINAL.format(html.escape("\n".join(lines))))
    image = Image.open(io.BytesIO(page.locator("pre").screenshot())).convert("RGB")
    save(image, target)


def captioned(image: Image.Image, words: str) -> Image.Image:
    """The picture with a line of words below it."""
    whole = Image.new("RGB", (image.width, image.height + BAND), (20, 23, 28))
    whole.paste(image)
    font = ImageFont.load_default(18)
    ImageDraw.Draw(whole).text((14, image.height + 6), words, font=font, fill=(230, 233, 238))
    return whole


def animate(frames: Sequence[Image.Image], target: Path) -> None:
    """One after the other, those that show the same as the one before as one; for ever."""
    palette = frames[-1].quantize(COLOURS)
    few = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [FRAME_MILLISECONDS] * (len(few) - 1) + [LAST_MILLISECONDS]
    few[0].save(target, save_all=True, append_images=few[1:], duration=times, loop=0, optimize=True)
