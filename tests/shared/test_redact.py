"""What a vendor says loses its secrets and keeps its sense."""

import html

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from shared.redact import LONGEST, as_markdown, is_plain, redacted

KEY = "9f8a7d6c5b4a39281706f5e4d3c2b1a0"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhayJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"Invalid API key: {KEY}", "Invalid API key: …"),
        ("invalid api_key=hunter2, try again", "invalid api_key=…, try again"),
        ('{"access_key": "hunter2", "code": 1}', '{"access_key": "…", "code": 1}'),
        ("FAL_KEY=hunter2 is not ours", "FAL_KEY=… is not ours"),
        ("Set-Cookie: sid=hunter2; theme=dark", "Set-Cookie: …"),
        ('{"cookie": "sid=hunter2", "code": 1}', '{"cookie": "…", "code": 1}'),
        ("Authorization: Bearer hunter2 is wrong", "Authorization: … is wrong"),
        ("bad header Basic dXNlcjpodW50ZXIy", "bad header Basic …"),
        (f"token expired {JWT} at 12:00", "token expired … at 12:00"),
        (f"the key {KEY} is not ours", "the key … is not ours"),
        ("got http://user:hunter2@host:1/a.png", "got http://host:1/a.png"),
        ("no https://cdn/a.png?X-Signature=hunter2&e=1 there", "no https://cdn/a.png?… there"),
        ("no https://cdn/a.png#hunter2", "no https://cdn/a.png?…"),
        (
            'File "/opt/comfy/custom/nodes.py", line 5, in run',
            'File "…/nodes.py", line 5, in run',
        ),
        (r"no C:\Users\me\Comfy UI\input\a.png", "no …/a.png"),
        ("no '/home/me/Comfy UI/input/a.png'", "no '…/a.png'"),
        ("dir:/srv/comfy/a.png", "dir:…/a.png"),
        ("no file:///srv/comfy/a.png", "no …/a.png"),
        (r"no \\nas\share\me\a.png", "no …/a.png"),
        (r"[Errno 2] 'D:\\models\\x.safetensors'", "[Errno 2] '…/x.safetensors'"),
    ],
)
def test_secrets_and_folders_are_removed(said: str, kept: str) -> None:
    assert redacted(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "content risk: the prompt was refused",
        "out of luck",
        "图片太大 (10 MB)",
        "task 0f8fad5b-d9cb-469f-a165-70867728950e is unknown",
        "no task job-0123456789abcdef01234567.video.2",
        "HTTP 429, code 1303: parallel task over resource pack limit",
        "expected str/int, got and/or",
        r"a \d+ in C: or c:\ alone",
        "http://127.0.0.1:6889/img/files/a.png answered 404",
        "",
    ],
)
def test_other_text_stays(said: str) -> None:
    assert redacted(said) == said


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("\x1b]0;owned\x07\x1b[31mred\x9b2J", "]0;owned [31mred 2J"),
        ("a \u202egnp.exe\u2066 b\u200b", "a gnp.exe b"),
        ("one\r\n  two\u2028three\x00", "one two three"),
    ],
)
def test_control_and_bidi_characters_are_removed(said: str, kept: str) -> None:
    assert redacted(said) == kept


@given(st.text(max_size=6000))
@example("word " * 400)
def test_any_text_is_cut_once(said: str) -> None:
    once = redacted(said)
    assert len(once) <= LONGEST


@pytest.mark.parametrize("char", ["a", "/", "a/", "key", "eyJ", "http://", "token=", "a1-"])
def test_no_text_takes_long(char: str) -> None:
    redacted(char * 100_000)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://host:1/img/files/a.png", True),
        ("http://host/view?filename=a.png", False),
        ("http://user:pw@host/a.png", False),
        ("http://host/a.png#x", False),
    ],
)
def test_address_with_a_possible_secret_is_recognised(url: str, plain: bool) -> None:
    assert is_plain(url) is plain


MARKS = st.text(st.sampled_from("ab1 .)*_`~[]()<>!#+-=|&;:/\\@$^{}\"'\n"), min_size=1).filter(
    str.strip
)
WORDS = ("www.a.b", "https://a.b", "mailto:a@b", "&lt;", "&#60;", "<b>", "](x)", "12) ", "---", "a")


@given(st.one_of(MARKS, st.lists(st.sampled_from(WORDS), min_size=1).map("".join)))
@example("1. one")
@example("# a")
@example("![x](https://evil.example/a.png)")
@example("<img src=x>")
@example("_a_ __b__ *c* ~~d~~ a_b_c")
@example("\\*a*")
@example("a\n===")
@example("> a")
def test_markdown_shows_a_text_literally(text: str) -> None:
    line = " ".join(text.split())
    renderer = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for place in ("{}", "**said**\n\nWhy: {}", "| a |\n|---|\n| {} |", "> x {}"):
        shown = renderer.render(place.format(as_markdown(text)))
        plain = renderer.render(place.format("MARK"))
        assert html.unescape(shown) == html.unescape(plain).replace("MARK", line), shown


@pytest.mark.parametrize(
    "text", ["www.evil.example", "WWW.a.b", "see http://a.b", "mailto:a", "a@b"]
)
def test_bare_address_is_no_link(text: str) -> None:
    """GitHub makes one of what a scheme, `www.` or an `@` begins, unless that is escaped."""
    assert any(mark in as_markdown(text) for mark in ("\\.", "\\:", "\\@"))
