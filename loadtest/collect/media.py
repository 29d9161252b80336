"""Whether a stored file is what it claims to be: hashed, and decoded by a real decoder."""

import hashlib
import io
from typing import Any

import av
from PIL import Image, UnidentifiedImageError

_BAD_PICTURES = (
    *(OSError, UnidentifiedImageError, ValueError, SyntaxError),
    Image.DecompressionBombError,
)


def examine(job_id: str, kind: str, data: bytes | None) -> dict[str, Any]:
    """One row of the files book; `problem` says why a file does not count."""
    if not data:
        return {"job_id": job_id, "kind": kind, "bytes": 0, "problem": "missing or empty"}
    problem = _image_problem(data) if kind == "image" else _video_problem(data)
    return {
        "job_id": job_id,
        "kind": kind,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "shows": None if problem else _shows(kind, data),
        "problem": problem,
    }


def _shows(kind: str, data: bytes) -> str:
    """A digest of the pixels, or of the film's packets: as the vendors' ledgers have it."""
    if kind == "image":
        with Image.open(io.BytesIO(data)) as picture:
            name = f"{picture.mode} {picture.width}x{picture.height}\n"
            return hashlib.sha256(name.encode() + picture.tobytes()).hexdigest()
    with av.open(io.BytesIO(data), mode="r") as container:
        packets = hashlib.sha256()
        for packet in container.demux(video=0):
            packets.update(bytes(packet))
    return packets.hexdigest()


def _image_problem(data: bytes) -> str | None:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
    except _BAD_PICTURES as error:
        return f"does not decode: {error}"
    return None


def _video_problem(data: bytes) -> str | None:
    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            frames = sum(1 for _ in container.decode(video=0))
    except (av.FFmpegError, IndexError, ValueError) as error:
        return f"does not decode: {error}"
    return None if frames else "has no frames"
