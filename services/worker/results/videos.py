"""Whether a video can be decoded, and has the frames that its index promises."""

from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from services.worker.results.bounds import MAX_FRAMES, MAX_PIXELS, MAX_SECONDS, MAX_STREAMS
from services.worker.results.pictures import check_size
from services.worker.results.refusals import Refused
from shared.jobs.states import Step

# H.264, H.265, AV1 and VP9, by FFmpeg's names of what decodes them. Sound is not decoded.
DECODERS = ("h264", "hevc", "av1", "libdav1d", "vp9", "libvpx-vp9")
# FFmpeg's own limits, for what it does while it opens a file; it follows no link out of it.
OPTIONS = {
    "codec_whitelist": ",".join(DECODERS),
    "max_pixels": str(MAX_PIXELS[Step.VIDEO]),
    "max_streams": str(MAX_STREAMS),
    "protocol_whitelist": "file",
}


def check_video(path: Path) -> None:
    """Return where it can be played to its last frame; else Refused."""
    try:
        with av.open(str(path), format="mp4", options=OPTIONS) as video:
            promised = _check_claims(video)
            next(video.decode(video=0))
            video.seek(0)
            present = _count(video)
    except (FFmpegError, IndexError, StopIteration, ValueError) as error:
        raise Refused(f"The video can't be decoded: {type(error).__name__}.") from None
    if present < promised:
        raise Refused(f"The video is cut short: {present} of {promised} frames.")


def _check_claims(video: InputContainer) -> int:
    """What the index says, before anything is decoded; the frames that it promises."""
    stream = video.streams.video[0]
    if stream.codec_context is None or stream.codec_context.name not in DECODERS:
        raise Refused("The video is of a kind that we don't decode.")
    check_size(stream.width, stream.height, Step.VIDEO)
    if max(each.frames for each in video.streams) > MAX_FRAMES:
        raise Refused(f"The video claims more than {MAX_FRAMES} frames.")
    # One thread each: what it may take is bounded for all of them together.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": OPTIONS["max_pixels"]}
    return stream.frames


def _count(video: InputContainer) -> int:
    """The frames that are there, by what is there and not by what the index says."""
    present, base = 0, video.streams.video[0].time_base
    longest = MAX_SECONDS / base if base else 0
    for packet in video.demux(video=0):
        present += packet.size > 0
        if present > MAX_FRAMES:
            raise Refused(f"The video has more than {MAX_FRAMES} frames.")
        if (packet.pts or 0) > longest:
            raise Refused(f"The video lasts longer than {MAX_SECONDS} s.")
    return present
