"""What `make up PIPELINES=…` starts beside the stack's own services."""

from compose.stack.services import Service

SERVICES = (
    Service(
        "mock-speech", "SPEECH_PORT", 16883, "speech service (mock)",
        "examples.speech.mock:SpeechMockSettings", mock="speech", program="examples.speech.mock",
    ),
)  # fmt: skip
