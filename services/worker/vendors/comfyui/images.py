"""A ComfyUI as the image vendor: found by our id, and looked up before each submit."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import httpx

from services.worker.graphs.plan import Plan, folder_of, is_made_of_ours, prompt_id_of
from services.worker.settings.vendors import headers_of
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.comfyui import checks
from services.worker.vendors.comfyui.answers import (
    CANCELLED,
    File,
    PromptState,
    Result,
    of_history,
    of_job,
    reason_of,
    touches,
)
from services.worker.vendors.comfyui.calls import Calls, NoRoute
from services.worker.vendors.comfyui.percents import Percents
from shared.errors import OutcomeUnknown, RefusedForGood, VendorError
from shared.http.client import http_client
from shared.pipeline.findings import Finding
from shared.pipeline.vendor import ANOTHER, Traits, Vendor, VendorStatus
from shared.redact import redacted

# The oldest server that was seen to stop only the prompt that is named (it came with PR #9607).
HEEDS_INTERRUPT = (0, 3, 64)


class ComfyuiImages(Vendor):
    """The vendor's id is the prompt id; it and the file name are derived from our id."""

    traits = Traits(kinds=("PNG", "JPEG", "WEBP"))

    def __init__(
        self, calls: Calls, plan: Plan, percents: Percents, headers: Mapping[str, str]
    ) -> None:
        self._calls = calls
        self._plan = plan
        self._percents = percents
        self._headers = headers
        binding = plan.binding
        node = plan.graph.get(binding.output)
        name = node.name if node else binding.output
        self._result = Result(binding.output, name, temporary=binding.naming is None)
        self._is_new_enough = False
        self._freed: set[str] = set()
        self._cancelled: set[str] = set()

    async def submit(self, external_id: str, token: int, *, prompt: str, style: str) -> str:
        """Queue the graph for one generation.

        Raises RefusedForGood, and leaves nothing there, if the server does not take our id, or
        can't make the bound output; OutcomeUnknown if it answers with the id of another generation.
        """
        await self._check_age()
        prompt_id = prompt_id_of(external_id)
        body = {
            "prompt": self._plan.order(external_id, prompt=prompt, style=style),
            "prompt_id": prompt_id,
            "client_id": prompt_id,
            # For readers of the server's history.
            "extra_data": {"external_id": external_id},
        }
        output = self._plan.binding.output
        answer = await self._calls.post_prompt(body, token=token, output=output)
        given = answer.get("prompt_id")
        if given != prompt_id:
            if is_made_of_ours(given):
                raise OutcomeUnknown(ANOTHER)
            await self._let_go(given)
            raise RefusedForGood(
                "The ComfyUI uses its own prompt_id, so that nothing could be looked up: "
                "it is too old, or COMFYUI_URL leads to something else."
            )
        if touches(answer, output):
            await self._let_go(prompt_id)
            raise RefusedForGood(redacted(reason_of(answer, output)))
        return prompt_id

    async def _check_age(self) -> None:
        """Check the server's version until the check has passed once."""
        if self._is_new_enough:
            return
        version: tuple[int, ...] = ()
        with suppress(VendorError):
            version = await self._calls.version()
        if version and version < checks.TAKES_OUR_ID:
            raise RefusedForGood(f"The ComfyUI's version {checks.too_old(version)}.")
        self._is_new_enough = bool(version)

    async def _let_go(self, prompt_id: object) -> None:
        if isinstance(prompt_id, str) and prompt_id:
            with suppress(VendorError):
                await self._stop(prompt_id)

    async def status(self, task_id: str) -> VendorStatus | None:
        """Return the state by the jobs, in older servers by queue and history; last by the file,
        which outlives them."""
        prompt_id = prompt_id_of(task_id)
        found = await self._known(prompt_id)
        if found is None and (by_file := await self._by_file(prompt_id)):
            return by_file
        if found is None:
            # What was cancelled while it waited is unknown to the server, and over.
            dropped = prompt_id in self._cancelled
            over = VendorStatus(vendor_id=prompt_id, state="failed", message=CANCELLED)
            return over if dropped else None
        if found.state in ("succeeded", "failed"):
            self._percents.forget(prompt_id)
        return found

    async def _known(self, prompt_id: str) -> VendorStatus | None:
        job = await self._calls.job(prompt_id)
        if isinstance(job, NoRoute):
            return await self._known_of_old(prompt_id)
        if job is None:
            return None
        found = of_job(job, self._result)
        position = None
        if found.state == "queued":
            with suppress(VendorError):
                pending = (await self._calls.queue()).pending
                position = pending.index(prompt_id) if prompt_id in pending else None
        return await self._status(prompt_id, found, position=position)

    async def _known_of_old(self, prompt_id: str) -> VendorStatus | None:
        """Look in the queue first: a prompt that leaves it later is in the history by then."""
        queue = await self._calls.queue()
        if prompt_id in queue.running:
            return await self._status(prompt_id, PromptState("running"))
        if prompt_id in queue.pending:
            position = queue.pending.index(prompt_id)
            return await self._status(prompt_id, PromptState("queued"), position=position)
        entry = await self._calls.history(prompt_id)
        return await self._status(prompt_id, of_history(entry, self._result)) if entry else None

    async def _status(
        self, prompt_id: str, found: PromptState, *, position: int | None = None
    ) -> VendorStatus:
        if found.out_of_memory and prompt_id not in self._freed:
            self._freed.add(prompt_id)
            with suppress(VendorError):
                await self._calls.free()
        at_work = found.state in ("queued", "running")
        return VendorStatus(
            vendor_id=prompt_id,
            state=found.state,
            percent=self._percents.of(prompt_id) if at_work else 0,
            url=self._calls.address(found.file) if found.file else None,
            message=found.message,
            position=position,
            final=found.final,
        )

    async def _by_file(self, prompt_id: str) -> VendorStatus | None:
        """Find a whole picture under the generation's file name; skip incomplete ones."""
        naming = self._plan.binding.naming
        for name in naming.names() if naming else ():
            file = File(name, folder_of(prompt_id), "output")
            whole = await self._calls.is_whole(file, may_lead=bool(self._headers))
            if whole:
                return await self._status(prompt_id, PromptState("succeeded", file=file))
            if whole is None:
                break
        return None

    async def cancel(self, vendor_id: str) -> None:
        """Ask the server to stop; it stops at the next node or step, and its status says when."""
        await self._stop(prompt_id_of(vendor_id))

    async def _stop(self, prompt_id: str) -> None:
        cancelled = await self._calls.cancel_job(prompt_id)
        if not isinstance(cancelled, NoRoute):
            if cancelled:
                self._cancelled.add(prompt_id)
            return
        await self._stop_of_old(prompt_id)

    async def _stop_of_old(self, prompt_id: str) -> None:
        """Compare the queue before and after, because an old server does not report a dropped
        prompt."""
        waited = prompt_id in (await self._calls.queue()).pending
        await self._calls.drop(prompt_id)
        queue = await self._calls.queue()
        if prompt_id in queue.running:
            if await self._calls.version() >= HEEDS_INTERRUPT:
                await self._calls.interrupt(prompt_id)
        elif waited and prompt_id not in queue.pending:
            self._cancelled.add(prompt_id)

    def credentials(self) -> Mapping[str, str]:
        """Return the headers without which a guarded server gives no file."""
        return self._headers

    async def examined(self) -> list[Finding]:
        return await checks.examined(self._calls, self._plan)

    def offer(self) -> str:
        models = ", ".join(self._plan.models()) or "no model"
        return f"the ComfyUI at {self._calls.at}, with {models}"


@asynccontextmanager
async def comfyui_images(settings: WorkerSettings) -> AsyncIterator[ComfyuiImages]:
    """Yield the vendor during the block.

    A password in the address becomes a header, because neither a result's address nor a socket's
    may have one. If the settings have an Authorization header, that one is sent.
    """
    address = httpx.URL(settings.image_service_url)
    base = str(address.copy_with(userinfo=b""))
    headers = headers_of(settings.comfyui_headers)
    if address.userinfo and "authorization" not in map(str.lower, headers):
        pair = f"{address.username}:{address.password}".encode()
        headers |= {"Authorization": f"Basic {b64encode(pair).decode()}"}
    proxy = settings.proxy_for(base)
    percents = Percents(base, settings.plan.weights(), headers, proxy=proxy)
    async with http_client(base, proxy=proxy) as http:
        http.headers.update(headers)
        try:
            calls = Calls(http, settings.plan.graph.escaped_bytes)
            yield ComfyuiImages(calls, settings.plan, percents, headers)
        finally:
            await percents.aclose()
