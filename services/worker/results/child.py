"""The process that opens vendors' files: it reads a request a line, and writes a verdict a line,
after the parts of the file to be stored or sent.

A picture is decoded and written again as PNG, so that only its pixels are stored, without metadata
(prompt, workflow) or other foreign bytes. A video is stored unchanged. A stored picture is fitted
to a video vendor's limits.

It imports no settings, network code or vendor. It can write no file, and has limits of memory and,
for each file, of processor time. Beyond a limit it dies, and its parent reports that. It ends at
once when its parent does.
"""

import base64
import io
import json
import math
import os
import resource
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, NamedTuple

import av
from av.container import InputContainer
from av.error import FFmpegError
from PIL import Image, ImageCms, UnidentifiedImageError

# Beyond its memory at the start. The largest allowed image takes 160 MB, as a JPEG in many passes
# 400; a video of the largest frames, of which a decoder may keep 16, up to 230.
MEMORY_BYTES = 512 * 1024 * 1024
# Processor seconds for one file; the largest allowed one takes some 6.
CPU_SECONDS = 30
MAX_FILES = 16
PART = 64 * 1024
READY = "ready"
# Above what vendors deliver. An image of 8K has 33 million pixels, a video of 4K fewer than 9.5. A
# browser shows no side of more than 16384.
MAX_PIXELS = {"image": 40_000_000, "video": 4096 * 2304}
MAX_SIDE = 16_384
# Ten minutes at 120 frames a second; 5 to 10 s are ordered. A video has streams of sound, too.
MAX_SECONDS = 600
MAX_FRAMES = MAX_SECONDS * 120
MAX_STREAMS = 8
# A fast level, because the largest picture takes some seconds of the processor.
COMPRESS_LEVEL = 6

# First bytes of files that are neither MP4 nor RIFF.
STARTS = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x1aE\xdf\xa3": "WebM",
}
# H.264, H.265, AV1 and VP9, by FFmpeg's names of their decoders. Sound is not decoded.
DECODERS = ("h264", "hevc", "av1", "libdav1d", "vp9", "libvpx-vp9")
# FFmpeg's own limits while it opens a file; it follows no link out of it.
OPTIONS = {
    "codec_whitelist": ",".join(DECODERS),
    "max_pixels": str(MAX_PIXELS["video"]),
    "max_streams": str(MAX_STREAMS),
    "protocol_whitelist": "file",
}
# JPEG qualities, tried one after another while the file is too large.
QUALITIES = (92, 85, 75)
# Pillow raises these for a file that is no picture.
BAD_PICTURE = (
    Image.DecompressionBombError,
    UnidentifiedImageError,
    OSError,
    EOFError,
    IndexError,
    SyntaxError,
    ValueError,
)


class Refused(Exception):
    """The file is bad, but another generation's may be good; `code` is that of the failure."""

    code = "bad_result"


class RefusedKind(Refused):
    """The file is of another kind; another generation would not change that."""

    code = "wrong_kind"


class RefusedPicture(Refused):
    """The picture can't be brought within the vendor's limits, in any encoding."""

    code = "refused_for_good"


class Limits(NamedTuple):
    """The same as the worker's `Bounds`, which this process can't import."""

    kinds: tuple[str, ...]
    max_bytes: int
    min_side: int
    max_ratio: float


class Parts(io.BytesIO):
    """Sends what is written to the parent, line by line, and keeps nothing."""

    def write(self, data: Any, /) -> int:
        for at in range(0, len(data), PART):
            _send({"part": base64.b64encode(data[at : at + PART]).decode("ascii")})
        return len(data)


def main() -> None:
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    Image.preinit()
    _confine()
    _send({"verdict": READY})
    while True:
        _send(_verdict(requests.get()))


def _read(requests: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    # The parent is gone, and with it the use of the check.
    os._exit(0)


def _confine() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    memory = pages * resource.getpagesize() + MEMORY_BYTES
    for what, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MAX_FILES),
    ):
        resource.setrlimit(what, (limit, limit))


def _verdict(line: bytes) -> dict[str, Any]:
    request = json.loads(line)
    # The limit counts from the process's beginning.
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(usage.ru_utime + usage.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
    path = Path(request["path"])
    try:
        if "limits" in request:
            fit(path, Limits(**request["limits"]), Parts())
        else:
            check(path, request["step"], request["kinds"], Parts())
    except Refused as refused:
        return {"verdict": refused.code, "reason": str(refused)}
    except OSError as error:
        return {"verdict": "storage_failed", "reason": f"Our disk: {error.strerror}"}
    return {"verdict": "good"}


def _send(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def check(path: Path, step: str, kinds: Sequence[str], out: IO[bytes]) -> None:
    """Return if this is a whole image or a playable video of one of these kinds.

    For a picture `out` gets the file to store.
    """
    if path.stat().st_size == 0:
        raise Refused("The result is empty.")
    with path.open("rb") as file:
        kind = _kind_of(file.read(16))
    wanted = " or ".join(kinds)
    if kind is None:
        raise Refused(f"The {step} is no {wanted} file.")
    if kind not in kinds:
        raise RefusedKind(f"The {step} is a file of the kind {kind}, not {wanted}.")
    try:
        if kind == "MP4":
            _check_video(path, step)
        else:
            _copy_picture(path, kind, step, out)
    except MemoryError:
        raise Refused(f"The {step} needs more memory than a result may.") from None


def _kind_of(beginning: bytes) -> str | None:
    if beginning[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "AVI"}.get(beginning[8:12])
    if beginning[4:8] == b"ftyp":
        return {b"avif": "AVIF", b"heic": "HEIC", b"qt  ": "QuickTime"}.get(beginning[8:12], "MP4")
    return next((kind for start, kind in STARTS.items() if beginning.startswith(start)), None)


def _copy_picture(path: Path, kind: str, step: str, out: IO[bytes]) -> None:
    try:
        with Image.open(path, formats=(kind,)) as picture:
            _check_size(picture.width, picture.height, step, MAX_PIXELS["image"])
            # The first frame of an animated PNG is the picture; a WEBP has no such rule.
            if kind == "WEBP" and getattr(picture, "is_animated", False):
                raise RefusedKind(f"The {step} is an animated WEBP, and not a still one.")
            picture.load()
            plain: Image.Image = picture
            if picture.mode == "CMYK":
                plain = picture.convert("RGB")
                plain.info.pop("icc_profile", None)
            elif not _is_profile(plain.info.get("icc_profile", b"")):
                plain.info.pop("icc_profile", None)
    except BAD_PICTURE as error:
        raise Refused(f"The {step} can't be decoded as {kind}: {type(error).__name__}.") from None
    plain.save(out, "PNG", compress_level=COMPRESS_LEVEL)


def _is_profile(found: bytes) -> bool:
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(found))
    except OSError:
        return False
    return int.from_bytes(found[:4]) == len(found)


def _check_size(width: int, height: int, step: str, most: int) -> None:
    if width * height > most or max(width, height) > MAX_SIDE:
        raise Refused(f"The {step} is too large: {width}x{height}.")


def _check_video(path: Path, step: str) -> None:
    try:
        with av.open(str(path), format="mp4", options=OPTIONS) as video:
            promised = _check_claims(video, step)
            next(video.decode(video=0))
            video.seek(0)
            present = _count(video, step)
    except (FFmpegError, IndexError, StopIteration, ValueError) as error:
        raise Refused(f"The {step} can't be decoded: {type(error).__name__}.") from None
    if present < promised:
        raise Refused(f"The {step} is cut short: {present} of {promised} frames.")


def _check_claims(video: InputContainer, step: str) -> int:
    """Check the index before anything is decoded; return its number of frames."""
    stream = video.streams.video[0]
    if stream.codec_context is None or stream.codec_context.name not in DECODERS:
        raise Refused(f"The {step} is of a kind that we don't decode.")
    _check_size(stream.width, stream.height, step, MAX_PIXELS["video"])
    if max(each.frames for each in video.streams) > MAX_FRAMES:
        raise Refused(f"The {step} claims more than {MAX_FRAMES} frames.")
    # One thread each, because the limits count for all of them together.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": OPTIONS["max_pixels"]}
    return stream.frames


def _count(video: InputContainer, step: str) -> int:
    present, base = 0, video.streams.video[0].time_base
    longest = MAX_SECONDS / base if base else 0
    for packet in video.demux(video=0):
        present += packet.size > 0 and not packet.is_corrupt
        if present > MAX_FRAMES:
            raise Refused(f"The {step} has more than {MAX_FRAMES} frames.")
        if (packet.pts or 0) > longest:
            raise Refused(f"The {step} lasts longer than {MAX_SECONDS} s.")
    return present


def fit(path: Path, limits: Limits, out: IO[bytes]) -> None:
    """Write a stored picture to `out` as another JPEG; write nothing if it fits already.

    Raises RefusedPicture if it can't be brought within the limits.
    """
    size = path.stat().st_size
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            _check_shape(picture, limits)
            if size <= limits.max_bytes and picture.format in limits.kinds:
                return
            plain = picture if picture.mode == "RGB" else picture.convert("RGB")
            out.write(_as_jpeg(plain, limits.max_bytes))
    except MemoryError:
        raise RefusedPicture("Re-encoding the image needs too much memory.") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise RefusedPicture(f"The image can't be read: {type(error).__name__}.") from None


def _check_shape(picture: Image.Image, limits: Limits) -> None:
    shorter, longer = sorted(picture.size)
    what = f"The image has {picture.width}x{picture.height} pixels"
    if shorter < limits.min_side:
        raise RefusedPicture(f"{what}; the video vendor takes sides of {limits.min_side} or more.")
    if longer > limits.max_ratio * shorter:
        ratio = f"at most {limits.max_ratio:g} times as long as the other"
        raise RefusedPicture(f"{what}; the video vendor takes a side of {ratio}.")
    if picture.width * picture.height > MAX_PIXELS["image"]:
        raise RefusedPicture(f"{what}, which are too many to be re-encoded.")


def _as_jpeg(picture: Image.Image, max_bytes: int) -> bytes:
    for quality in QUALITIES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        if file.tell() <= max_bytes:
            return file.getvalue()
    raise RefusedPicture(f"The image stays larger than {max_bytes} bytes, as JPEG as well.")
