"""Mutants of the API and of the callback receiver."""

from tests.mutants.mutant import Mutant
from tests.mutants.scenes import SCENES

MUTANTS = (
    Mutant(
        name="left-out-of-the-list",
        breaks="`GET /jobs` leaves a job out",
        edits=(
            (
                "            if status is None or job.status is status:\n",
                '            if not job.prompt.endswith("#2"):\n',
            ),
        ),
        scene=SCENES["plain"],
        rule="lost",
        jobs=("#2",),
    ),
    Mutant(
        name="shadow-job",
        breaks="a submission starts a second job of the same tag",
        edits=(
            (
                "            await self._temporal.start(job_id, job, pipeline)\n",
                "            await self._temporal.start(job_id, job, pipeline)\n"
                '            if job.prompt.endswith("#2"):\n'
                "                await self._temporal.start(new_job_id(), job, pipeline)\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="duplicated",
        jobs=("stranger",),
    ),
    Mutant(
        name="shadow-job-without-tag",
        breaks="a submission starts a second job that carries no tag",
        edits=(
            (
                "            await self._temporal.start(job_id, job, pipeline)\n",
                "            await self._temporal.start(job_id, job, pipeline)\n"
                '            if job.prompt.endswith("#2"):\n'
                '                untagged = job.model_copy(update={"tag": None})\n'
                "                await self._temporal.start(new_job_id(), untagged, pipeline)\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="duplicated",
        jobs=("#2",),
    ),
    Mutant(
        name="idempotency-key-ignored",
        breaks="the same key starts another job",
        edits=(("job_id = job_id_for_key(key)\n", "job_id = new_job_id()\n"),),
        scene=SCENES["submitted again"],
        rule="duplicated",
        jobs=("stranger",),
    ),
    Mutant(
        name="retry-of-a-success",
        breaks="a job that has succeeded is run again",
        edits=(("if job.status not in RETRYABLE_STATES:\n", "if not job.status.ended:\n"),),
        scene=SCENES["retried"],
        rule="duplicated",
        jobs=("stranger",),
    ),
    Mutant(
        name="frames-left-out",
        breaks="the feed leaves out the third version of each record",
        edits=(
            (
                "            self.put(job)\n        return self.get(record.job_id)",
                "            if job.version != 3:\n"
                "                self.put(job)\n"
                "        return self.get(record.job_id)",
            ),
        ),
        scene=SCENES["quick"],
        rule="frames.version",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="frames-out-of-order",
        breaks="each version is followed by the number of the one before it",
        edits=(
            (
                "[Item(numbered(frame), frame.number) for frame in frames]",
                "[\n"
                "            Item(numbered(Frame(job, frame.number, frame.change)), frame.number)\n"
                "            for frame in frames\n"
                "            for job in (\n"
                "                frame.job,\n"
                "                frame.job.model_copy(\n"
                '                    update={"version": max(0, frame.job.version - 1)}\n'
                "                ),\n"
                "            )\n"
                "        ]",
            ),
        ),
        scene=SCENES["quick"],
        rule="frames.version",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="file-of-another-job",
        breaks="the API serves the newest job's files for each job",
        edits=(
            (
                "    found = await asyncio.to_thread(service.assets.find, job_id, stage)\n",
                "    jobs = service.feed.page(1, status=None, tag=None, after=None).jobs\n"
                "    newest = jobs[0].job_id\n"
                "    found = await asyncio.to_thread(service.assets.find, newest, stage)\n",
            ),
        ),
        scene=SCENES["read by the API"],
        rule="files.sha256",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="tag-not-set",
        breaks="the search attribute CustomTag does not carry the tag",
        edits=(
            (
                "SearchAttributePair(CUSTOM_TAG, job.tag or UNTAGGED),",
                "SearchAttributePair(CUSTOM_TAG, UNTAGGED),",
            ),
        ),
        scene=SCENES["plain"],
        rule="history.tag",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="cancel-not-passed-on",
        breaks="a cancel is answered with 202 and goes no further",
        edits=(
            (
                "if await self._temporal.cancel(job_id) or "
                "await self._repairer.close_forgotten(job_id):\n",
                "if job_id:\n",
            ),
        ),
        scene=SCENES["cancelled in its image"],
        rule="demanded",
        jobs=("#1",),
    ),
    Mutant(
        name="place-in-the-queue-one-too-high",
        breaks="the API shows a place in the queue that is one too high",
        edits=(
            (
                "for number, job_id in enumerate(view.waiting, start=1)}\n        return view",
                "for number, job_id in enumerate(view.waiting, start=2)}\n        return view",
            ),
        ),
        scene=SCENES["slow"],
        rule="slots.places",
        jobs=("#2",),
    ),
    Mutant(
        name="end-not-signalled",
        breaks="a callback of an end gets its receipt, and the workflow no signal",
        edits=(
            (
                "                await answer(call, seconds=SIGNAL_SECONDS)\n",
                "                call.close()\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="signals",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="end-signalled-twice",
        breaks="the workflow gets two signals of one callback",
        edits=(
            (
                "                await answer(call, seconds=SIGNAL_SECONDS)\n",
                "                await asyncio.gather(call, handle.signal(signal, done))\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="signals",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="signalled-before-the-end",
        breaks="a callback that tells of no end is signalled as one",
        edits=(("if callback.task_status.ended:\n", "if callback.task_id:\n"),),
        scene=SCENES["plain"],
        rule="signals",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="receipt-invented",
        breaks="a callback leaves two receipts",
        edits=(
            (
                "        return *self.receipts.add(receipt), self.receipts.job(receipt.job_id)\n",
                "        added = self.receipts.add(receipt)\n"
                '        double = {"fate": Fate.DUPLICATE, "decided": True}\n'
                "        self.receipts.add(receipt.model_copy(update=double))\n"
                "        return *added, self.receipts.job(receipt.job_id)\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="receipts",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="receipt-hidden",
        breaks="the list of receipts leaves out the last one",
        edits=(
            (
                "await asyncio.to_thread(receiver.receipts.of_job, job_id)\n",
                "(await asyncio.to_thread(receiver.receipts.of_job, job_id))[:-1]\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="receipts",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="receipt-of-another-task",
        breaks="a receipt names our id in place of the vendor's",
        edits=(
            (
                "            task_id=callback.task_id,\n            task_status",
                "            task_id=external_id,\n            task_status",
            ),
        ),
        scene=SCENES["plain"],
        rule="receipts",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="callback-refused",
        breaks="every callback is refused, and the poll makes it good",
        edits=(
            (
                "(form, generation.step) not in self._signals:\n",
                "(form, generation.step) in self._signals:\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="video_ledger.callbacks[].reply",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="repeat-applied-again",
        breaks="a callback that repeats another one is noted as applied",
        edits=(
            (
                "return Decision(Fate.DUPLICATE, signal=undecided)",
                "return Decision(Fate.APPLIED, signal=True)",
            ),
        ),
        scene=SCENES["callbacks repeated"],
        rule="receipts.fate",
        jobs=("#1", "#2", "#3"),
    ),
    Mutant(
        name="token-not-checked",
        breaks="a callback with a wrong token is taken",
        edits=(
            (
                "        if token_fits(self._secret, external_id, token):\n",
                "        if token:\n",
            ),
        ),
        scene=SCENES["callbacks forged"],
        rule="video_ledger.callbacks[].reply",
        jobs=("#1", "#2", "#3"),
    ),
)
