"""Where the stack is; the load test knows nothing of it but these addresses and folders."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from shared.pipeline.definition import Definition
from shared.settings.common import MOCKED, Mocks
from shared.settings.payloads import PayloadSettings
from shared.settings.pipelines import PipelineSettings


class Settings(PayloadSettings, PipelineSettings):
    """Addresses as the load test reaches them, read from the environment when constructed."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    api_url: str = "http://127.0.0.1:8000"
    callback_url: str = "http://127.0.0.1:8001"
    image_service_url: str = "http://127.0.0.1:6889"
    video_service_url: str = "http://127.0.0.1:16882"
    # What further pipelines bring, by the names of the services.
    pipeline_services: dict[str, str] = Field(default_factory=dict)
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_ui_url: str = "http://127.0.0.1:8080"
    worker_url: str = "http://127.0.0.1:9100"
    semaphore_url: str = "http://127.0.0.1:9099"
    workers: int = Field(1, ge=1, le=64)
    data_dir: Path = Path("data")
    store_url: str = "file:"
    reports_dir: Path = Path("reports")
    mocks: Mocks = "on"
    api_token: SecretStr | None = None
    # Shown to the callback receiver, whose port may be open to others than us.
    operator_key: SecretStr | None = None

    @field_validator("api_url", "callback_url", "image_service_url", "video_service_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

    @property
    def store_dir(self) -> Path | None:
        """The folder that has records and results; None where they are elsewhere."""
        return self.data_dir if self.store_url == "file:" else None

    @property
    def mocked(self) -> dict[str, str]:
        """The stages whose vendors are mocks, with books to compare with, and where these are."""
        urls = {"image": self.image_service_url, "video": self.video_service_url}
        return {stage: urls[stage] for stage in MOCKED[self.mocks]}

    def mocks_of(self, pipeline: Definition) -> dict[str, str]:
        """Return the addresses of a pipeline's mocks, which have books to compare with."""
        brought = {f"mock-{vendor}": url for vendor, url in self.mocked.items()}
        brought |= self.pipeline_services
        wanted = dict.fromkeys(stage.vendor for stage in pipeline.stages)
        return {each: brought[f"mock-{each}"] for each in wanted if f"mock-{each}" in brought}
