"""Mutants of the worker: the workflow, its activities, and what they store."""

from tests.mutants.mutant import Mutant
from tests.mutants.scenes import SCENES

ALL = ("#1", "#2", "#3")

MUTANTS = (
    Mutant(
        name="submit-without-permit",
        breaks="no job waits for its permit",
        edits=(
            (
                "            await self._until_held(self._slot)\n",
                "            from shared.semaphore.messages import Permit\n"
                "            self._slot.permit = Permit(**self._request.run.model_dump(), "
                'name="job", token=1)\n',
            ),
        ),
        scene=SCENES["queue"],
        rule="overlap",
        jobs=("#2",),
    ),
    Mutant(
        name="submit-before-permit",
        breaks="the first job begins its image before its permit has come",
        edits=(
            (
                "            await self._until_held(self._slot)\n",
                '            if self._job.prompt.endswith("#1"):\n'
                "                from shared.semaphore.messages import Permit\n"
                "                run = self._request.run.model_dump()\n"
                '                self._slot.permit = Permit(**run, name="job", token=1)\n'
                "            await self._until_held(self._slot)\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="permit",
        jobs=("#1",),
    ),
    Mutant(
        name="released-before-it-is-stored",
        breaks="the place is given back before the video is fetched",
        edits=(
            (
                "            await self.stages(self._job)\n            note",
                "            await self.stages(self._job)\n"
                "            self._slot.release()\n"
                "            await workflow.sleep(0.05)\n"
                "            note",
            ),
        ),
        scene=SCENES["plain"],
        rule="overlap",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="good-video-paid-again",
        breaks="each good video is paid a second time as attempt 2",
        edits=(
            (
                "stored = await self._attempt(stage, self._order(stage, number, inputs))\n",
                "stored = await self._attempt(stage, self._order(stage, number, inputs))\n"
                "                if stage.name == 'video' and number == 1:\n"
                "                    number = 2\n"
                "                    continue\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="attempts",
        jobs=ALL,
    ),
    Mutant(
        name="good-image-paid-again",
        breaks="the second job's good image is paid a second time as attempt 2",
        edits=(
            (
                "stored = await self._attempt(stage, self._order(stage, number, inputs))\n",
                "stored = await self._attempt(stage, self._order(stage, number, inputs))\n"
                "                second = inputs['prompt'].endswith('#2')\n"
                "                if second and stage.name == 'image' and number == 1:\n"
                "                    number = 2\n"
                "                    continue\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="attempts",
        jobs=("#2",),
    ),
    Mutant(
        name="end-recorded-early",
        breaks="the record says that a job ended a second before its end",
        edits=(
            (
                "        record = self.state.change(workflow.now(), note, **fields)\n        if",
                '        early = 1.0 if note == "video stored" else 0.0\n'
                "        from datetime import timedelta\n"
                "        now = workflow.now() - timedelta(seconds=early)\n"
                "        record = self.state.change(now, note, **fields)\n        if",
            ),
        ),
        scene=SCENES["plain"],
        rule="states.record.transitions[].at",
        jobs=ALL,
    ),
    Mutant(
        name="video-stage-skipped",
        breaks="the second job ends well without a video",
        edits=(
            (
                "            await self.make(VIDEO, prompt=job.prompt)\n",
                "            if not job.prompt.endswith('#2'):\n"
                "                await self.make(VIDEO, prompt=job.prompt)\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="orders",
        jobs=("#2",),
    ),
    Mutant(
        name="one-film-for-all",
        breaks="each job gets the film of the first one",
        edits=(
            (
                '        """Store it with one try and without waiting."""\n',
                "        if stage.name == 'video':\n"
                "            Storage.first = url = getattr(Storage, 'first', url)\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="files.shows",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="picture-of-another-job",
        breaks="each video is made of the first job's picture",
        edits=(
            (
                '            "image_url": await source.address(PICTURES),\n',
                '            "image_url": FIRST.setdefault(0, await source.address(PICTURES)),\n',
            ),
            ('DURATION = "5"\n', 'DURATION = "5"\nFIRST: dict[int, str] = {}\n'),
        ),
        scene=SCENES["plain"],
        rule="video_ledger.source_shows",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="prompt-altered",
        breaks="the vendor gets another prompt than the job's",
        edits=(
            (
                "prompt=job.prompt, style=job.style)",
                "prompt=job.prompt[::-1], style=job.style)",
            ),
        ),
        scene=SCENES["plain"],
        rule="image_ledger.prompt",
        jobs=ALL,
    ),
    Mutant(
        name="hash-wrong",
        breaks="the record has another hash than the file",
        edits=(("sha256=digest, media_type", "sha256=digest[::-1], media_type"),),
        scene=SCENES["plain"],
        rule="files.sha256",
        jobs=ALL,
    ),
    Mutant(
        name="size-wrong",
        breaks="the record has another size than the file",
        edits=(("return Asset(size=size,", "return Asset(size=size + 1,"),),
        scene=SCENES["plain"],
        rule="files.bytes",
        jobs=ALL,
    ),
    Mutant(
        name="percent-falls",
        breaks="the percent of an attempt goes down",
        edits=(
            (
                "            step=stage.name,\n            percent=0,\n",
                "            step=stage.name,\n            percent=50,\n",
            ),
            (
                '            f"{stage.name} accepted, waiting for its callback",\n',
                '            f"{stage.name} accepted, waiting for its callback",\n'
                "            percent=10,\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="states.record.transitions[].percent",
        jobs=ALL,
    ),
    Mutant(
        name="attempts-miscounted",
        breaks="the second job counts an attempt that no vendor had",
        edits=(
            (
                "            attempts=self._journal.state.attempts_with(stage.name, number),\n",
                "            attempts=self._journal.state.attempts_with(\n"
                "                stage.name, number + self._job.prompt.endswith('#2')\n"
                "            ),\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="states.record.transitions[].attempt",
        jobs=("#2",),
    ),
    Mutant(
        name="version-left-out",
        breaks="the record passes over a version",
        edits=(
            (
                "        version = self.record.version + 1\n        counted",
                '        version = self.record.version + (2 if note == "video stored" else 1)\n'
                "        counted",
            ),
        ),
        scene=SCENES["plain"],
        rule="states.record.transitions[].version",
        jobs=ALL,
    ),
    Mutant(
        name="task-not-recorded",
        breaks="the record does not have the vendor's id of the video",
        edits=(
            (
                "tasks={**self._journal.record.tasks, ours: accepted.vendor_id},",
                "tasks=self._journal.record.tasks,",
            ),
        ),
        scene=SCENES["plain"],
        rule="states.record.tasks",
        jobs=ALL,
    ),
    Mutant(
        name="progress-not-set",
        breaks="the search attribute CustomProgress stays at 0",
        edits=(
            (
                "        if record.percent != before:\n"
                "            workflow.upsert_search_attributes",
                "        if record.percent < before:\n"
                "            workflow.upsert_search_attributes",
            ),
        ),
        scene=SCENES["plain"],
        rule="history.progress",
        jobs=ALL,
    ),
    Mutant(
        name="degraded-where-failed-was-asked-for",
        breaks="a job whose video fails ends the other way than it asked for",
        edits=(
            (
                "if job.on_video_failure is not OnVideoFailure.IMAGE:\n",
                "if job.on_video_failure is OnVideoFailure.IMAGE:\n",
            ),
        ),
        scene=SCENES["videos fail"],
        rule="jobs.job.status",
        jobs=("#1",),
    ),
    Mutant(
        name="failed-where-degraded-was-asked-for",
        breaks="a job whose video fails ends the other way than it asked for",
        edits=(
            (
                "if job.on_video_failure is not OnVideoFailure.IMAGE:\n",
                "if job.on_video_failure is OnVideoFailure.IMAGE:\n",
            ),
        ),
        scene=SCENES["videos fail, the image will do"],
        rule="jobs.job.status",
        jobs=("#1",),
    ),
    Mutant(
        name="one-attempt-too-many",
        breaks="a stage is tried once more than allowed",
        edits=(("number == MAX_ATTEMPTS:\n", "number > MAX_ATTEMPTS:\n"),),
        scene=SCENES["videos fail"],
        rule="attempts",
        jobs=("#1",),
    ),
    Mutant(
        name="no-second-attempt",
        breaks="a stage is given up after its first failure",
        edits=(("number == MAX_ATTEMPTS:\n", "number:\n"),),
        scene=SCENES["first generations fail"],
        rule="attempts",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="look-up-skipped",
        breaks="a submit whose reply was lost is sent again without a look",
        edits=(
            (
                "        if known is not None:\n"
                "            return known.vendor_id\n"
                "        if time",
                "        if known is not None and not external_id:\n"
                "            return known.vendor_id\n"
                "        if time",
            ),
        ),
        scene=SCENES["replies lost"],
        rule="duplicated",
        jobs=ALL,
    ),
    Mutant(
        name="heartbeat-without-the-vendors-id",
        breaks="a worker that takes over does not hear of the vendor's id",
        edits=(
            (
                "self.accepted, self.percent, self.wait_reported",
                "None, self.percent, self.wait_reported",
            ),
        ),
        scene=SCENES["worker killed"],
        harmless="the next try asks the vendor by our own id and adopts what it has",
    ),
    Mutant(
        name="cancel-does-not-reach-the-vendor",
        breaks="a cancelled job's image is not stopped at its vendor",
        edits=(
            (
                "            if ours in seen.running and isinstance(news, VendorStatus):\n",
                "            if ours in seen.ended and isinstance(news, VendorStatus):\n",
            ),
        ),
        scene=SCENES["cancelled in its image"],
        rule="image_ledger.outcome",
        jobs=("#1",),
    ),
    Mutant(
        name="closes-while-its-vendor-works",
        breaks="a cancelled job closes while its video is still being made",
        edits=(
            (
                "        pause = DRAIN_AGAIN\n",
                "        from shared.jobs.messages import Attempts\n"
                "        return Kept(attempts=Attempts(), assets={}, asset_url=None)\n"
                "        pause = DRAIN_AGAIN\n",
            ),
        ),
        scene=SCENES["cancelled in its video"],
        rule="overlap",
        jobs=("#2",),
    ),
    Mutant(
        name="time-limit-ignored",
        breaks="a job goes on though its time is over",
        edits=(
            (
                "        self._cancellation.request(Reason.TIME_IS_UP)\n",
                "        return\n",
            ),
        ),
        scene=SCENES["out of time"],
        rule="history.limit",
        jobs=("#1",),
    ),
    Mutant(
        name="end-not-written",
        breaks="the worker does not write a job's last version",
        edits=(
            (
                "        if self._records.append(record):\n",
                "        if record.status.ended or self._records.append(record):\n",
            ),
        ),
        scene=SCENES["plain"],
        harmless="the API sees that the run has closed and writes its record from Temporal",
    ),
    Mutant(
        name="poll-never-ends",
        breaks="the end of a video is learnt from callbacks only",
        edits=(
            (
                "            await self._unless_fetched(order.external_id, ended)\n",
                "            await asyncio.Event().wait()\n",
            ),
        ),
        scene=SCENES["callbacks lost"],
        rule="still_open",
        jobs=("#1",),
    ),
)
