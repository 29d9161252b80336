"""Turns a picture into a short H.264 video that shows it; runs in a thread, never in the loop."""

import io

import av
from PIL import Image, UnidentifiedImageError

from services.mock_core.runner.runner import GenerationError

SECONDS = 2
RATE = 6
_LONGEST_SIDE = 640
_MAX_PIXELS = 50_000_000
_FORMATS = ("PNG", "JPEG")


def make_video(picture: bytes) -> bytes:
    """MP4 bytes of about two seconds; GenerationError when the bytes are no picture."""
    frame = av.VideoFrame.from_image(_opened(picture))  # type: ignore[no-untyped-call]
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        options = {"preset": "ultrafast", "crf": "23", "threads": "1"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        still = frame.reformat(format="yuv420p")
        for number in range(SECONDS * RATE):
            still.pts = number
            container.mux(stream.encode(still))
        container.mux(stream.encode())
    return out.getvalue()


def _opened(picture: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(picture), formats=_FORMATS)
        if image.width * image.height > _MAX_PIXELS:
            raise GenerationError("image is too large")
        image.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise GenerationError("image is not a valid png or jpg") from error
    return _fitted(image.convert("RGB"))


def _fitted(image: Image.Image) -> Image.Image:
    """No side longer than the limit, and both even, as the codec wants them."""
    scale = min(1.0, _LONGEST_SIDE / max(image.size))
    width, height = (max(2, int(side * scale) // 2 * 2) for side in image.size)
    return image if image.size == (width, height) else image.resize((width, height))
