"""The names that a node gives to the pictures that it saves, by which a picture is found when the
server has forgotten its prompt."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.worker.graphs.graph import GraphError, Node

# The prefix of every file; the folder before it tells generations apart.
STEM = "image"
# Each submit of a generation makes one file, so that there are a few at the most.
_MOST_FILES = 9
_FIRST = re.compile(
    rf"{STEM}((?P<before>[^/\d]*)(?P<first>0*[01]))?(?P<after>[^/\d]*(?P<ending>\.\w+))"
)
_NUMBERED, _PLAIN_NUMBER = f"{STEM}_00001_", f"{STEM}_00001"
# The first file under the prefix, of each node of the server's own (0.28) that saves pictures. Some
# have an input for the format, which is the ending then.
_KNOWN = {
    "SaveImage": f"{_NUMBERED}.png",
    "SaveAnimatedPNG": f"{_NUMBERED}.png",
    "SaveAnimatedWEBP": f"{_NUMBERED}.webp",
    "SaveImageAdvanced": f"{_PLAIN_NUMBER}.{{format}}",
}
# What such a node saves is gone with the server's next start.
_TEMPORARY = frozenset({"PreviewImage"})
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Naming:
    """The names of files under the prefix: the text before and after the number, and the first
    number with all its digits. Without a number there is one file."""

    before: str
    first: str
    after: str

    def names(self) -> Iterator[str]:
        """Yield the first few names, in the order in which the files are made."""
        if not self.first:
            yield f"{STEM}{self.after}"
            return
        for number in range(int(self.first), int(self.first) + _MOST_FILES):
            yield f"{STEM}{self.before}{number:0{len(self.first)}}{self.after}"


def keeps_nothing(node: Node) -> bool:
    return node.kind in _TEMPORARY


def naming_of(node: Node, named: str, *, prefixed: bool) -> Naming:
    """Return the names of a node's files, by `named`, its first file; else by its type, if the
    prefix is our own (`prefixed`).

    Raises GraphError if neither is known, or the files are no pictures that can be stored.
    """
    known = _KNOWN.get(node.kind, "") if prefixed else ""
    first = named or known.format_map({"format": node.value("format") or "?"})
    found = _FIRST.fullmatch(first)
    if found is None:
        example = f"such as {node.id}={_NUMBERED}.png"
        if named:
            raise GraphError(f"{named} names no first file under the prefix {STEM}, {example}")
        raise GraphError(
            f"how node {node.name} names its files is not known, so that a picture which the server"
            " has forgotten would be made again; name the node with its first file under the prefix"
            f" {STEM}, {example}"
        )
    if found["ending"].lower() not in _PICTURES:
        raise GraphError(
            f"node {node.name} saves a file {found['ending']}, and the result is to be one of"
            f" {', '.join(_PICTURES)}"
        )
    return Naming(found["before"] or "", found["first"] or "", found["after"])
