"""Temporal's own book: executions and histories, read and never changed."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest, GetSystemInfoRequest
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from loadtest.settings import Settings
from loadtest.wire.http import Unreachable
from shared.errors import PayloadUnreadable
from shared.temporal.codec import PayloadKeys, decode_all

_RPC = timedelta(seconds=10)


async def connect(settings: Settings) -> Client:
    """Return a client by the SDK's standard environment, and no file; raise Unreachable."""
    config = ClientConfig.load_client_connect_config(disable_file=True)
    config.setdefault("target_host", settings.temporal_address)
    config.setdefault("namespace", settings.temporal_namespace)
    try:
        converter = replace(DataConverter.default, payload_codec=settings.payload_keys)
        return await Client.connect(**config, data_converter=converter)
    except (RuntimeError, RPCError, OSError) as error:
        raise Unreachable(f"{config['target_host']}: {error}") from error


class Temporal:
    def __init__(self, client: Client, keys: PayloadKeys) -> None:
        self._client = client
        self._keys = keys

    @classmethod
    async def connect(cls, settings: Settings) -> "Temporal":
        """Return a reader on a connection of its own; raise Unreachable."""
        return cls(await connect(settings), settings.payload_keys)

    @property
    def namespace(self) -> str:
        return self._client.namespace

    async def server(self) -> dict[str, Any]:
        """Return the server's version, and in how many shards it counts its steps; 0 if unknown."""
        service = self._client.workflow_service
        try:
            known = await service.get_system_info(GetSystemInfoRequest(), timeout=_RPC)
        except RPCError as error:
            raise Unreachable(f"Temporal: {error.message}") from error
        shards = 0
        with contextlib.suppress(RPCError):
            cluster = await service.get_cluster_info(GetClusterInfoRequest(), timeout=_RPC)
            shards = cluster.history_shard_count
        return {"server": known.server_version, "shards": shards}

    async def executions(self, tag: str) -> AsyncIterator[dict[str, Any]]:
        """Return every run that carries the tag; the server's list may lag behind."""
        query = f"CustomTag = '{tag}'"
        try:
            async for row in self._client.list_workflows(query, page_size=1000, rpc_timeout=_RPC):
                yield {
                    "job_id": row.id,
                    "run_id": row.run_id,
                    "type": row.workflow_type,
                    "status": row.status.name if row.status is not None else "UNKNOWN",
                    "started": row.start_time.timestamp(),
                    "closed": row.close_time.timestamp() if row.close_time else None,
                }
        except RPCError as error:
            raise Unreachable(f"Temporal list: {error.message}") from error

    async def history(
        self, job_id: str, run_id: str | None = None
    ) -> Sequence[HistoryEvent] | None:
        """Return the events of a run, by default of the newest, or None when there is none."""
        handle = self._client.get_workflow_handle(job_id, run_id=run_id)
        try:
            return [event async for event in handle.fetch_history_events(rpc_timeout=_RPC)]
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                return None
            raise Unreachable(f"Temporal history: {error.message}") from error

    async def readable(self, events: Sequence[HistoryEvent]) -> Sequence[HistoryEvent]:
        """Return the same events, decrypted."""
        if not self._keys.encrypts:
            return events
        plain = [HistoryEvent.FromString(event.SerializeToString()) for event in events]
        try:
            for event in plain:
                await decode_all(event, self._keys)
        except PayloadUnreadable as error:
            raise Unreachable(f"Temporal history: {error.message}") from error
        return plain


def history_rows(job_id: str, events: Sequence[HistoryEvent]) -> list[dict[str, Any]]:
    """Return events as the JSON that the SDK's replayer and the Temporal UI read."""
    rows: list[dict[str, Any]] = json.loads(WorkflowHistory(job_id, events).to_json())["events"]
    return rows
