"""The outside of the negative control: as much of the API as a load test looks at."""

import hashlib
from typing import Any

from fastapi import FastAPI, Header, Response
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from loadtest.control.naive import QUEUE, NaiveJob, NaiveRecords, NaiveWorkflow

_TAG = SearchAttributeKey.for_keyword("CustomTag")
Row = dict[str, Any]


def create_app(client: Client, records: NaiveRecords) -> FastAPI:
    """An API over the naive records, with no WebSocket and a receiver that receives nothing."""
    # The framework's own pages would load scripts from a public address.
    app = FastAPI(docs_url=None, redoc_url=None)
    app.add_api_route("/readyz", _fine)
    app.add_api_route("/healthz", _fine)
    app.add_api_route("/callbacks", _nothing)
    app.add_api_route("/slots", _slots)
    _add_jobs(app, client, records)
    return app


def _fine() -> Row:
    return {"status": "ok"}


def _nothing() -> list[Row]:
    return []


def _slots() -> Row:
    """What the build claims; nothing in it could tell how many really run."""
    return {"limit": 1, "paused": False, "holders": [], "waiting": [], "waiting_count": None}


def _add_jobs(app: FastAPI, client: Client, records: NaiveRecords) -> None:
    @app.post("/jobs", status_code=202)
    async def submit(body: Row, idempotency_key: str = Header()) -> Row:
        job_id = f"job-{hashlib.sha256(idempotency_key.encode()).hexdigest()[:24]}"
        job = NaiveJob(job_id, str(body["prompt"]), str(body["style"]), str(body["tag"]))
        records.change(job, "queued", step=None, percent=0)
        tag = TypedSearchAttributes([SearchAttributePair(_TAG, job.tag)])
        await client.start_workflow(
            NaiveWorkflow.run, job, id=job_id, task_queue=QUEUE, search_attributes=tag
        )
        return {"job_id": job_id}

    @app.get("/jobs")
    def jobs(tag: str) -> Row:
        found = [record for record in records.all() if record["tag"] == tag]
        return {"jobs": found, "next_cursor": None}

    @app.get("/jobs/{job_id}", response_model=None)
    def job(job_id: str) -> Row | Response:
        return records.get(job_id) or Response(status_code=404)
