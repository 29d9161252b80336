"""Mutants of the API and of the callback receiver."""

from dataclasses import replace

from tests.mutants.mutant import Mutant
from tests.mutants.scenes import SCENES

MUTANTS = (
    Mutant(
        name="left-out-of-the-list",
        breaks="`GET /jobs` leaves a job out",
        old="if status in (None, job.status) and tag in (None, job.tag):\n",
        new='if not job.prompt.endswith("#2"):\n',
        rule="lost",
        jobs=("#2",),
    ),
    Mutant(
        name="shadow-job",
        breaks="a submission starts a second job of the same tag",
        old="        await self._temporal.start(job_id, job, pipeline)\n",
        new="        await self._temporal.start(job_id, job, pipeline)\n"
        '        if job.prompt.endswith("#2"):\n'
        "            await self._temporal.start(new_job_id(), job, pipeline)\n",
        rule="duplicated",
        jobs=("stranger",),
    ),
    Mutant(
        name="shadow-job-without-tag",
        breaks="a submission starts a second job that carries no tag",
        old="        await self._temporal.start(job_id, job, pipeline)\n",
        new="        await self._temporal.start(job_id, job, pipeline)\n"
        '        if job.prompt.endswith("#2"):\n'
        '            untagged = job.model_copy(update={"tag": None})\n'
        "            await self._temporal.start(new_job_id(), untagged, pipeline)\n",
        rule="duplicated",
        jobs=("#2",),
    ),
    Mutant(
        name="idempotency-key-ignored",
        breaks="the same key starts another job",
        old="job_id = job_id_for_key(key)\n",
        new="job_id = new_job_id()\n",
        scene=SCENES["submitted again"],
        rule="duplicated",
        jobs=("stranger",),
    ),
    Mutant(
        name="retry-of-a-success",
        breaks="a job that has succeeded is run again",
        old="if job.status not in RETRYABLE_STATES:\n",
        new="if not job.status.ended:\n",
        scene=SCENES["retried"],
        rule="duplicated",
        jobs=("stranger",),
    ),
    Mutant(
        name="silent-until-its-end",
        breaks="list and feed show nothing of the third job until it has ended",
        old="    def put(self, job: Job) -> None:\n",
        new="    def put(self, job: Job) -> None:\n"
        '        if job.prompt.endswith("#3") and not job.status.ended:\n'
        "            return\n",
        scene=SCENES["five"],
        rule="waits.silent",
        jobs=("#3",),
    ),
    Mutant(
        name="callback-signalled-late",
        breaks="each end that is called is signalled 2 s later",
        old="                signalled = await _found(",
        new="                await asyncio.sleep(2)\n                signalled = await _found(",
        scene=SCENES["five"],
        rule="waits.callback",
        jobs=(),
    ),
    Mutant(
        name="second-attempts-late",
        breaks="a callback of a second attempt counts as late, and a poll finds the end",
        old="(job.status.ended or job.attempts.get(stage, 0) > attempt):",
        new="(job.status.ended or attempt > 1):",
        scene=replace(
            SCENES["first generations fail"], jobs=3, settings={"VIDEO_POLL_SECONDS": "2"}
        ),
        rule="waits.callback",
    ),
    Mutant(
        name="frames-left-out",
        breaks="the feed leaves out the third version of each record",
        old="            self.put(job)\n        return self.get(record.job_id)",
        new="            if job.version != 3:\n"
        "                self.put(job)\n"
        "        return self.get(record.job_id)",
        scene=SCENES["quick"],
        rule="frames.version",
    ),
    Mutant(
        name="frames-out-of-order",
        breaks="each version is followed by the number of the one before it",
        old="[Item(numbered(frame), frame.number) for frame in frames]",
        new="[\n"
        "            Item(numbered(Frame(job, frame.number, frame.change)), frame.number)\n"
        "            for frame in frames\n"
        "            for job in (\n"
        "                frame.job,\n"
        "                frame.job.model_copy(\n"
        '                    update={"version": max(0, frame.job.version - 1)}\n'
        "                ),\n"
        "            )\n"
        "        ]",
        scene=SCENES["quick"],
        rule="frames.version",
    ),
    Mutant(
        name="file-of-another-job",
        breaks="the API serves the newest job's files for each job",
        old="service.assets.find, job_id, stage)\n",
        new="service.assets.find, "
        "service.feed.page(1, status=None, tag=None, after=None).jobs[0].job_id, stage)\n",
        rule="files.sha256",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="tag-not-set",
        breaks="the search attribute CustomTag does not carry the tag",
        old="SearchAttributePair(CUSTOM_TAG, job.tag or UNTAGGED),",
        new="SearchAttributePair(CUSTOM_TAG, UNTAGGED),",
        rule="history.tag",
    ),
    Mutant(
        name="cancel-not-passed-on",
        breaks="a cancel is answered with 202 and goes no further",
        old="if await self._temporal.cancel(job_id) or "
        "await self._repairer.close_forgotten(job_id):\n",
        new="if job_id:\n",
        scene=SCENES["cancelled in its image"],
        rule="demanded",
        jobs=("#1",),
    ),
    Mutant(
        name="place-in-the-queue-one-too-high",
        breaks="the API shows a place in the queue that is one too high",
        old="for number, job_id in enumerate(view.waiting, start=1)}\n        return view",
        new="for number, job_id in enumerate(view.waiting, start=2)}\n        return view",
        scene=SCENES["slow"],
        rule="slots.places",
        jobs=("#2",),
    ),
    Mutant(
        name="end-not-signalled",
        breaks="a callback of an end gets its receipt, and the workflow no signal",
        old="await _found(handle.signal(signal, done, rpc_timeout=limit))",
        new="True",
        rule="signals",
    ),
    Mutant(
        name="end-signalled-twice",
        breaks="the workflow gets two signals of one callback",
        old="handle.signal(signal, done, rpc_timeout=limit)",
        new="asyncio.gather(*(handle.signal(signal, done) for _ in range(2)))",
        rule="signals",
    ),
    Mutant(
        name="signalled-before-the-end",
        breaks="a callback that tells of no end is signalled as one",
        old="if callback.task_status.ended:\n",
        new="if callback.task_id:\n",
        rule="signals",
    ),
    Mutant(
        name="receipt-invented",
        breaks="a callback leaves two receipts",
        old="        return *self.receipts.add(receipt), self.receipts.job(receipt.job_id)\n",
        new="        added = self.receipts.add(receipt)\n"
        '        double = {"fate": Fate.DUPLICATE, "decided": True}\n'
        "        self.receipts.add(receipt.model_copy(update=double))\n"
        "        return *added, self.receipts.job(receipt.job_id)\n",
        rule="receipts",
    ),
    Mutant(
        name="receipt-hidden",
        breaks="the list of receipts leaves out the last one",
        old="await asyncio.to_thread(receiver.receipts.of_job, job_id)\n",
        new="(await asyncio.to_thread(receiver.receipts.of_job, job_id))[:-1]\n",
        rule="receipts",
    ),
    Mutant(
        name="no-percent-at-first",
        breaks="a waiting job has no CustomProgress to filter by",
        old="                SearchAttributePair(CUSTOM_PROGRESS, 0),\n",
        new="",
        rule="history.progress",
        jobs=(),
    ),
    Mutant(
        name="receipt-of-another-task",
        breaks="a receipt names our id in place of the vendor's",
        old="            task_id=callback.task_id,\n            task_status",
        new="            task_id=external_id,\n            task_status",
        rule="receipts",
    ),
    Mutant(
        name="callback-refused",
        breaks="every callback is refused, and the poll makes it good",
        old="generation is not None and (form, generation.step) in self._signals\n",
        new="False\n",
        rule="video_ledger.callbacks[].reply",
    ),
    Mutant(
        name="repeat-applied-again",
        breaks="a callback that repeats another one is noted as applied",
        old="return Decision(Fate.DUPLICATE, signal=undecided)",
        new="return Decision(Fate.APPLIED, signal=True)",
        scene=SCENES["callbacks repeated"],
        rule="receipts.fate",
    ),
    Mutant(
        name="token-not-checked",
        breaks="a callback with a wrong token is taken",
        old="        if is_ours and token_fits(self._secret, external_id, token):\n",
        new="        if is_ours and token:\n",
        scene=SCENES["callbacks forged"],
        rule="video_ledger.callbacks[].reply",
    ),
    Mutant(
        name="one-receipt-of-forged-callbacks",
        breaks="of a job's forged callbacks only the first leaves a receipt",
        old="            if len(forged) < MOST_FORGED:\n",
        new="            if not forged:\n",
        scene=SCENES["callbacks forged"],
        rule="receipts",
    ),
    Mutant(
        name="feed-cut",
        breaks="the feed is cut after a dozen changes",
        old="                    await socket.send_text(item.text)\n",
        new="                    await socket.send_text(item.text)\n"
        "                    sent = locals().get('sent', 0) + 1\n"
        "                    if sent == 12:\n"
        "                        break\n",
        scene=SCENES["five at leisure"],
        rule="stages.feed_connections",
        jobs=("run",),
    ),
    Mutant(
        name="refused-after-its-signal",
        breaks="every second end is signalled, and answered as if Temporal were away",
        old="        await self._settle(key, receipt, fate)\n        return fate\n",
        new="        self._ends = getattr(self, '_ends', 0) + callback.task_status.ended\n"
        "        if callback.task_status.ended and self._ends % 2:\n"
        "            await self._settle(key, receipt, Fate.UNKNOWN)\n"
        "            raise TemporalUnavailable('Temporal does not answer.')\n"
        "        await self._settle(key, receipt, fate)\n        return fate\n",
        scene=SCENES["nine"],
        rule="waits.refused",
        jobs=(),
    ),
)
