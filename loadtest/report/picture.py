"""The annotated picture of a report for the documentation, made by a browser without a window."""

import html
import shutil
import subprocess
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1240, 2560
SECONDS = 60
# Where a number is put, and what it says.
NOTES = (
    (
        "#s1 .notice",
        "The verdict, which the exit status of make tells, too.",
    ),
    ("#s1 .tiles", "The largest stage in eight numbers."),
    ("#s1 .notice.warn", "With mocks the timings are simulated; order and counts are real."),
    ("#s1 .scroll:first-of-type table", "Each condition, the value of its worst stage, its limit."),
    ("#s3 .scroll:nth-of-type(2) table", "Pace: the makespan beside what no schedule can beat."),
    ("#s5 figure:nth-last-of-type(2) .plot", "A row per job. One at a time makes a stair."),
    ("#s6 table", "The proof: most at once, by the books of three code bases."),
    ("#s6 figure:last-of-type .plot", "The vendors' own clocks: the lanes take turns."),
)
_SHOWN = ("s1", "s3", "s5", "s6")
_STYLE = """
header nav, section { display: none; }
%(shown)s { display: block; }
#s1 pre, #s1 > p:not(.notice):not(.lead), #s1 .scroll:not(:first-of-type) { display: none; }
#s3 > .scroll:not(:nth-of-type(2)), #s3 > p:not(.lead), #s1 .links { display: none; }
#s5 figure:not(:nth-last-of-type(2)), #s6 figure:not(:last-of-type) { display: none; }
.scroll { overflow: visible; }
.badge { position: absolute; transform: translate(-14px, -14px); width: 28px; height: 28px;
  border-radius: 50%%; background: #d6336c; color: #fff; font: bold 15px/28px sans-serif;
  text-align: center; }
.notes { margin: 20px auto; max-width: 1160px; padding: 14px 20px 14px 46px;
  border: 2px solid #d6336c; border-radius: 8px; columns: 2; }
"""
_SCRIPT = """
%(notes)s.forEach(([selector], place) => {
  const box = document.querySelector(selector)?.getBoundingClientRect();
  if (!box) return;
  const badge = document.createElement("div");
  badge.className = "badge";
  badge.textContent = place + 1;
  badge.style.left = box.left + "px";
  badge.style.top = box.top + window.scrollY + "px";
  document.body.append(badge);
});
"""


class NoBrowser(Exception):
    """None of the browsers that could draw is on the path."""


def picture(report: Path, target: Path) -> None:
    """Draw an annotated picture of `report` (an HTML report) as a PNG; raises NoBrowser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise NoBrowser(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "annotated.html"
        page.write_text(annotated(report.read_text(encoding="utf-8")), encoding="utf-8")
        subprocess.run(  # noqa: S603 - a browser found on the path, on a page of ours
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                f"--window-size={WIDTH},{HEIGHT}",
                f"--screenshot={target.resolve()}",
                page.as_uri(),
            ],
            check=True,
            timeout=SECONDS,
            capture_output=True,
        )


def annotated(page: str) -> str:
    """The report's page with numbers in it and their meaning above it."""
    shown = ", ".join(f"#{name}" for name in _SHOWN)
    items = "".join(f"<li>{html.escape(text)}</li>" for _, text in NOTES)
    style = f"<style>{_STYLE % {'shown': shown}}</style></head>"
    script = f"<script>{_SCRIPT % {'notes': [list(note) for note in NOTES]}}</script></body>"
    return (
        # What is put in runs, in a browser of its own.
        page.replace("Content-Security-Policy", "", 1)
        .replace("</head>", style, 1)
        .replace("<main>", f'<ol class="notes">{items}</ol><main>', 1)
        .replace("</body>", script, 1)
    )
