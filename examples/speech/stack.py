"""What `make up PIPELINES=…` starts beside the stack's own services."""

from compose.stack.services import Service

SERVICES = (
    Service(
        "mock-speech", "SPEECH_PORT", 16883, "speech service (mock)",
        "examples.speech.mock:SpeechMockSettings", mock="speech", program="examples.speech.mock",
    ),
    Service(
        "speech", "SPEECH_HTTP_PORT", 9098, "worker of the pipeline speech",
        "examples.speech.worker:SpeechSettings", client=True, inside=True,
        program="examples.speech.worker", workflow="examples.speech.workflow:SpeechWorkflow",
    ),
)  # fmt: skip
