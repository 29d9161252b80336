"""Which settings each service reads: it is told these, and nothing else.

The services' own models say the same, and a test holds the two together: what isn't installed yet
can't be asked.
"""

import re

from compose.stack import services
from compose.stack.services import API, CALLBACK, IMAGE, SEMAPHORE, TEMPORAL, VIDEO, WORKER

LOADTEST = "loadtest"
# What the SDK's client configuration reads by itself; TEMPORAL_PORT and TEMPORAL_UI_PORT are ours.
CLIENT = re.compile(
    r"TEMPORAL_(ADDRESS|NAMESPACE|API_KEY|PROFILE|CONFIG_FILE|TLS|TLS_\w+|GRPC_META_\w+)"
)
_CLIENTS = frozenset({WORKER.name, SEMAPHORE.name, CALLBACK.name, API.name, LOADTEST})
_OURS = frozenset({"LISTEN_HOST", "ALLOWED_HOSTS", "DATA_DIR", "LOG_LEVEL", "LOG_FORMAT"})
_STORE = frozenset(
    {
        *("STORE_URL", "STORE_ENDPOINT", "STORE_REGION", "STORE_KEY", "STORE_SECRET"),
        "STORE_LINKS",
    }
)
_TRACES = frozenset({"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"})
_MOCK = _OURS | {
    *("MOCK_SPEED", "MOCK_SEED", "MOCK_JOB_PATTERN", "MOCK_FILE_MEGABYTES", "MOCK_RESULT_DAYS"),
    *("MOCK_KEEP_ROWS", "MOCK_LEDGER"),
}
_KLING = frozenset(
    {
        *("VIDEO_API", "KLING_API_KEY", "KLING_ACCESS_KEY", "KLING_SECRET_KEY", "KLING_MODEL"),
        *("KLING_MODE", "KLING_DURATION", "KLING_SOUND", "KLING_EXTRA", "KLING_IMAGE"),
        *("KLING_LOOK_UP", "KLING_UNITS", "VIDEO_API_OPTIONS"),
    }
)
_ALIVE = frozenset({"STACK", "PACE", "STALL_SECONDS", "SHUTDOWN_SECONDS"})
READ_BY: dict[str, frozenset[str]] = {
    TEMPORAL.name: frozenset(
        {
            *("LISTEN_HOST", "DATA_DIR", TEMPORAL.port, services.UI_PORT),
            *("TEMPORAL_UI_URL", "ALLOWED_HOSTS", "UI_CODEC_ENDPOINT"),
        }
    ),
    IMAGE.name: _MOCK | {IMAGE.port, "MOCK_IMAGE_SECONDS", "COMFYUI_WORKERS"},
    VIDEO.name: _MOCK
    | {
        *(VIDEO.port, "MOCK_VIDEO_SECONDS", "KLING_PLACES", "KLING_DUPLICATES"),
        *("MOCK_CALLBACK_HOSTS", "MOCK_PICTURE_HOSTS"),
    },
    SEMAPHORE.name: _OURS
    | _ALIVE
    | {SEMAPHORE.port, "PAYLOAD_KEY", "SEMAPHORE_CAPACITY", "SEMAPHORE_MAX_HISTORY"},
    WORKER.name: _OURS
    | _ALIVE
    | _STORE
    | _TRACES
    | _KLING
    | {
        *(WORKER.port, "PAYLOAD_KEY", "CALLBACK_SECRET", "CALLBACK_URL", "API_PUBLIC_URL"),
        *("IMAGE_SERVICE_URL", "VIDEO_SERVICE_URL", "RESULT_HOSTS", "MAX_RESULT_BYTES"),
        "VENDOR_PROXY",
        *("IMAGE_API", "COMFYUI_WORKFLOW", "COMFYUI_BINDINGS", "COMFYUI_OUTPUT"),
        *("COMFYUI_HEADERS", "COMFYUI_PROMPT", "COMFYUI_WIDTH", "COMFYUI_HEIGHT"),
        *("IMAGE_ATTEMPT_SECONDS", "IMAGE_GIVE_UP_SECONDS", "IMAGE_LOST_SECONDS"),
        *("VIDEO_ATTEMPT_SECONDS", "VIDEO_GIVE_UP_SECONDS", "VIDEO_LOST_SECONDS"),
        *("IMAGE_ADDRESS_SECONDS", "VIDEO_ADDRESS_SECONDS", "VIDEO_POLL_SECONDS"),
        *("ACCEPT_SECONDS", "JOB_SECONDS", "DRAIN_SECONDS", "GATES"),
    },
    CALLBACK.name: _OURS
    | _STORE
    | _TRACES
    | {
        *(CALLBACK.port, "PAYLOAD_KEY", "CALLBACK_SECRET", "CALLBACK_URL", "TRUSTED_PROXIES"),
        *("CALLBACK_GUARDED", "KLING_WEBHOOK_SECRET"),
    },
    API.name: _OURS
    | _STORE
    | _TRACES
    | {
        *(API.port, "PAYLOAD_KEY", "API_TOKEN", "API_ORIGINS", "API_RATE", "API_MAX_SOCKETS"),
        "API_SOCKETS_PER_ADDRESS",
        *("API_PUBLIC_URL", "TEMPORAL_UI_URL", "REPORTS_DIR", "MOCKS", "PACE"),
        "WORKERS",
        *("API_EXPOSED", "TRUSTED_PROXIES", "OPERATOR_KEY", "RETENTION_DAYS"),
        *("CALLBACK_SERVICE_URL", "MOCK_COMFYUI_URL", "MOCK_KLING_URL"),
        *("WORKER_URL", "SEMAPHORE_URL", CALLBACK.port, IMAGE.port, VIDEO.port),
        *(WORKER.port, SEMAPHORE.port),
    },
    LOADTEST: frozenset(
        {
            *("DATA_DIR", "REPORTS_DIR", "PAYLOAD_KEY", "API_TOKEN", "MOCKS", "WORKERS"),
            *("API_URL", "CALLBACK_URL", "OPERATOR_KEY", "IMAGE_SERVICE_URL", "VIDEO_SERVICE_URL"),
            *("TEMPORAL_UI_URL", "WORKER_METRICS_URL", "SEMAPHORE_METRICS_URL", "STORE_URL"),
        }
    ),
}


def reads(service: str, name: str) -> bool:
    """Whether a service has a use for a variable of this name."""
    return name in READ_BY[service] or (service in _CLIENTS and bool(CLIENT.fullmatch(name)))
