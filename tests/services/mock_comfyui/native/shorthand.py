"""Frames in the shorthand of the captured ones: `ps +1 2:r0/1`, `executed 2 (x_00001_.png)`."""

from typing import Any

from tests.services.mock_core.serving import Json

Frame = Json


def told(frames: list[Frame]) -> str:
    """All of them; `+1` stands for nodes that were told as finished before."""
    finished: set[str] = set()
    return " | ".join(_one(frame, finished) for frame in frames)


def _one(frame: Frame, finished: set[str]) -> str:
    data: Any = frame["data"]
    match frame["type"]:
        case "status":
            return f"status {data['status']['exec_info']['queue_remaining']}"
        case "execution_cached":
            return f"cached {data['nodes']}"
        case "progress_state":
            return _states(data["nodes"], finished)
        case "progress":
            return f"progress {data['node']} {data['value']}/{data['max']}"
        case "executing":
            return f"executing {data['node']}" + ("" if "prompt_id" in data else " (node only)")
        case "executed":
            names = ", ".join(image["filename"] for image in data["output"].get("images", ()))
            return f"executed {data['node']} ({names})"
        case "execution_interrupted" | "execution_error":
            return f"{frame['type']} {data['node_id']}"
        case kind:
            return str(kind)


def _states(nodes: Json, finished: set[str]) -> str:
    old = [node_id for node_id in nodes if node_id in finished]
    shown = [
        f"{node_id}:{state['state'][0]}{state['value']:g}/{state['max']:g}"
        for node_id, state in nodes.items()
        if node_id not in finished
    ]
    finished |= {key for key, state in nodes.items() if state["state"] == "finished"}
    return " ".join(["ps", *([f"+{len(old)}"] if old else []), *shown])
