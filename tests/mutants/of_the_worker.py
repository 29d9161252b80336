"""Mutants of the worker: the workflow, its activities, and what they store."""

from dataclasses import replace

from tests.mutants.mutant import Mutant
from tests.mutants.scenes import SCENES

MUTANTS = (
    Mutant(
        name="submit-without-permit",
        breaks="no job waits for its permit",
        old="            await self._until_held(self._slot)\n",
        new="            from shared.semaphore.messages import Permit\n"
        "            self._slot.permit = Permit(**self._request.run.model_dump(), "
        'name="job", token=1)\n',
        scene=SCENES["queue"],
        rule="overlap",
        jobs=("#2",),
    ),
    Mutant(
        name="submit-before-permit",
        breaks="the first job begins its image before its permit has come",
        old="            await self._until_held(self._slot)\n",
        new='            if self._job.prompt.endswith("#1"):\n'
        "                from shared.semaphore.messages import Permit\n"
        "                run = self._request.run.model_dump()\n"
        '                self._slot.permit = Permit(**run, name="job", token=1)\n'
        "            await self._until_held(self._slot)\n",
        rule="history.orders[].at",
        jobs=("#1",),
    ),
    Mutant(
        name="released-before-it-is-stored",
        breaks="the place is given back before the video is fetched",
        old="            await self.stages(self._job)\n            note",
        new="            await self.stages(self._job)\n"
        "            self._slot.release()\n"
        "            await workflow.sleep(0.05)\n"
        "            note",
        rule="overlap",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="permit-held-on",
        breaks="each job keeps the slot for a moment after its end",
        old="**fields, status=Status.SUCCEEDED, percent=100)\n",
        new="**fields, status=Status.SUCCEEDED, percent=100)\n"
        "            await workflow.sleep(0.3)\n",
        rule="history.timers",
    ),
    Mutant(
        name="good-video-paid-again",
        breaks="each good video is paid a second time as attempt 2",
        old="stored = await self._attempt(stage, await self._begin(stage, number, inputs))\n",
        new="stored = await self._attempt(stage, await self._begin(stage, number, inputs))\n"
        "                if stage.name == 'video' and number == 1:\n"
        "                    number = 2\n"
        "                    continue\n",
        rule="attempts",
    ),
    Mutant(
        name="good-image-paid-again",
        breaks="the second job's good image is paid a second time as attempt 2",
        old="stored = await self._attempt(stage, await self._begin(stage, number, inputs))\n",
        new="stored = await self._attempt(stage, await self._begin(stage, number, inputs))\n"
        "                second = inputs['prompt'].endswith('#2')\n"
        "                if second and stage.name == 'image' and number == 1:\n"
        "                    number = 2\n"
        "                    continue\n",
        rule="attempts",
        jobs=("#2",),
    ),
    Mutant(
        name="end-recorded-early",
        breaks="the record says that a job ended a second before its end",
        old="        record = self.state.change(workflow.now(), note, **fields)\n        if",
        new='        early = 1.0 if note == "video stored" else 0.0\n'
        "        from datetime import timedelta\n"
        "        now = workflow.now() - timedelta(seconds=early)\n"
        "        record = self.state.change(now, note, **fields)\n        if",
        rule="states.record.transitions[].at",
        jobs=(),
    ),
    Mutant(
        name="video-stage-skipped",
        breaks="the second job ends well without a video",
        old="            await self.make(VIDEO, prompt=job.prompt)\n",
        new="            if not job.prompt.endswith('#2'):\n"
        "                await self.make(VIDEO, prompt=job.prompt)\n",
        rule="history.orders",
        jobs=("#2",),
    ),
    Mutant(
        name="one-film-for-all",
        breaks="each job gets the film of the first one",
        old='        """Store it with one try and without waiting."""\n',
        new="        if stage.name == 'video':\n"
        "            Storage.first = url = getattr(Storage, 'first', url)\n",
        rule="files.shows",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="picture-of-another-job",
        breaks="each video is made of the first job's picture",
        old='            "image_url": await source.address(PICTURES),\n',
        new='            "image_url": FIRST.setdefault(0, await source.address(PICTURES)),\n',
        more=(('DURATION = "5"\n', 'DURATION = "5"\nFIRST: dict[int, str] = {}\n'),),
        rule="video_ledger.source_shows",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="film-of-twice-the-length",
        breaks="each video is ordered and paid at twice its length",
        old='DURATION = "5"\n',
        new='DURATION = "10"\n',
        rule="video_ledger.units",
    ),
    Mutant(
        name="job-without-a-limit",
        breaks="no timer ends a job that hangs",
        old="asyncio.create_task(self._run_out())",
        new="asyncio.create_task(asyncio.sleep(0))",
        rule="history.timer",
    ),
    Mutant(
        name="prompt-altered",
        breaks="the vendor gets another prompt than the job's",
        old="prompt=job.prompt, style=job.style)",
        new="prompt=job.prompt[::-1], style=job.style)",
        rule="image_ledger.prompt",
    ),
    Mutant(
        name="hash-wrong",
        breaks="the record has another hash than the file",
        old="sha256=digest, media_type",
        new="sha256=digest[::-1], media_type",
        rule="files.sha256",
    ),
    Mutant(
        name="size-wrong",
        breaks="the record has another size than the file",
        old="return Asset(size=size,",
        new="return Asset(size=size + 1,",
        rule="files.bytes",
    ),
    Mutant(
        name="percent-falls",
        breaks="the percent of an attempt goes down",
        old="            step=stage.name,\n            percent=0,\n",
        new="            step=stage.name,\n            percent=50,\n",
        more=(
            (
                '            f"{stage.name} accepted, waiting for its callback",\n',
                '            f"{stage.name} accepted, waiting for its callback",\n'
                "            percent=10,\n",
            ),
        ),
        rule="states.record.transitions[].percent",
    ),
    Mutant(
        name="attempts-miscounted",
        breaks="the second job counts an attempt that no vendor had",
        old="            attempts=self._journal.state.attempts_with(stage.name, number),\n",
        new="            attempts=self._journal.state.attempts_with(\n"
        "                stage.name, number + self._job.prompt.endswith('#2')\n"
        "            ),\n",
        rule="states.record.transitions[].attempt",
        jobs=("#2",),
    ),
    Mutant(
        name="version-left-out",
        breaks="the record passes over a version",
        old="        version = self.record.version + 1\n        counted",
        new='        version = self.record.version + (2 if note == "video stored" else 1)\n'
        "        counted",
        rule="states.record.transitions[].version",
    ),
    Mutant(
        name="task-not-recorded",
        breaks="the record does not have the vendor's id of the video",
        old="tasks={**self._journal.record.tasks, ours: accepted.vendor_id},",
        new="tasks=self._journal.record.tasks,",
        rule="states.record.tasks",
    ),
    Mutant(
        name="progress-not-set",
        breaks="the search attribute CustomProgress stays at 0",
        old="        if record.percent != before:\n            workflow.upsert_search_attributes",
        new="        if record.percent < before:\n            workflow.upsert_search_attributes",
        rule="history.progress",
    ),
    Mutant(
        name="degraded-where-failed-was-asked-for",
        breaks="a job whose video fails ends the other way than it asked for",
        old="if job.on_video_failure is not OnVideoFailure.IMAGE:\n",
        new="if job.on_video_failure is OnVideoFailure.IMAGE:\n",
        scene=SCENES["videos fail"],
        rule="jobs.job.status",
        jobs=("#1",),
    ),
    Mutant(
        name="failed-where-degraded-was-asked-for",
        breaks="a job whose video fails ends the other way than it asked for",
        old="if job.on_video_failure is not OnVideoFailure.IMAGE:\n",
        new="if job.on_video_failure is OnVideoFailure.IMAGE:\n",
        scene=SCENES["videos fail, the image will do"],
        rule="jobs.job.status",
        jobs=("#1",),
    ),
    Mutant(
        name="one-attempt-too-many",
        breaks="a stage is tried once more than allowed",
        old="number == MAX_ATTEMPTS:\n",
        new="number > MAX_ATTEMPTS:\n",
        scene=SCENES["videos fail"],
        rule="history.orders[].attempt",
        jobs=("#1",),
    ),
    Mutant(
        name="no-second-attempt",
        breaks="a stage is given up after its first failure",
        old="number == MAX_ATTEMPTS:\n",
        new="number:\n",
        scene=SCENES["first generations fail"],
        rule="history.orders[].attempt",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="look-up-skipped",
        breaks="a submit whose reply was lost is sent again without a look",
        old="        if known is not None:\n            return known.vendor_id\n        if time",
        new="        if known is not None and not external_id:\n"
        "            return known.vendor_id\n"
        "        if time",
        scene=SCENES["replies lost"],
        rule="duplicated",
    ),
    Mutant(
        name="heartbeat-without-the-vendors-id",
        breaks="a worker that takes over does not hear of the vendor's id",
        old="self.accepted, self.percent, self.wait_reported",
        new="None, self.percent, self.wait_reported",
        scene=SCENES["worker killed"],
        harmless="the next try asks the vendor by our own id and adopts what it has",
    ),
    Mutant(
        name="cancel-does-not-reach-the-vendor",
        breaks="a cancelled job's image is not stopped at its vendor",
        old="            if ours in seen.running and isinstance(news, VendorStatus):\n",
        new="            if ours in seen.ended and isinstance(news, VendorStatus):\n",
        scene=SCENES["cancelled in its image"],
        rule="image_ledger.outcome",
        jobs=("#1",),
    ),
    Mutant(
        name="closes-while-its-vendor-works",
        breaks="a cancelled job closes while its video is still being made",
        old="        pause = DRAIN_AGAIN\n",
        new="        from shared.jobs.messages import Attempts\n"
        "        return Kept(attempts=Attempts(), assets={}, asset_url=None)\n"
        "        pause = DRAIN_AGAIN\n",
        scene=SCENES["cancelled in its video"],
        rule="overlap",
        jobs=("#2",),
    ),
    Mutant(
        name="time-limit-ignored",
        breaks="a job goes on though its time is over",
        old="        self._cancellation.request(Reason.TIME_IS_UP)\n",
        new="        return\n",
        scene=SCENES["out of time"],
        rule="history.limit",
        jobs=("#1",),
    ),
    Mutant(
        name="end-not-written",
        breaks="the worker does not write a job's last version",
        old="        if self._records.append(record):\n",
        new="        if record.status.ended or self._records.append(record):\n",
        harmless="the API sees that the run has closed and writes its record from Temporal",
    ),
    Mutant(
        name="polled-seldom",
        breaks="the end of a video whose callback is lost is noticed 8 s late",
        old="max(0.05, waited)) if watch.hinted else poll\n",
        new="max(0.05, waited)) if watch.hinted else poll + 8\n",
        scene=SCENES["callbacks lost"],
        rule="waits.end",
    ),
    Mutant(
        name="begin-not-written",
        breaks="the version that begins an attempt is written with the next one",
        old="looking, check_current(client), write())",
        new="looking, check_current(client), asyncio.sleep(0))",
        scene=SCENES["five at leisure"],
        rule="waits.begin",
        jobs=(),
    ),
    Mutant(
        name="percent-of-its-own",
        breaks="a report says another percent than the vendor",
        old="            percent=self.percent,\n            waiting",
        new="            percent=self.percent // 4,\n            waiting",
        scene=SCENES["five at leisure"],
        rule="waits.percent",
        jobs=(),
    ),
    Mutant(
        name="percent-of-the-poll-before",
        breaks="a report says the percent of the poll before",
        old="            percent = news.percent\n"
        "            await pulse.progress(percent, position=news.position)\n",
        new="            await pulse.progress(percent, position=news.position)\n"
        "            percent = news.percent\n",
        scene=SCENES["five at leisure"],
        rule="waits.percent",
        jobs=(),
    ),
    Mutant(
        name="poll-never-ends",
        breaks="the end of a video is learnt from callbacks only",
        old="            ended = await until_ended(\n",
        new="            await asyncio.Event().wait()\n            ended = await until_ended(\n",
        scene=SCENES["callbacks lost"],
        rule="still_open",
        jobs=("#1",),
    ),
    Mutant(
        name="percent-falls-with-its-vendor",
        breaks="the percent of an attempt goes down when the vendor's does",
        old="        self.percent = max(self.percent, percent)\n",
        new="        self.percent = percent\n",
        more=(
            (
                "        further = self.percent - self._reported >= self._points\n",
                "        further = abs(self.percent - self._reported) >= self._points\n",
            ),
            (
                "            elif report.percent > record.percent:\n",
                "            elif report.percent != self.record.percent:\n",
            ),
        ),
        scene=SCENES["videos go back"],
        rule="states.record.transitions[].percent",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="attribute-never-falls",
        breaks="CustomProgress keeps the image's percent when the video begins",
        old="        record = self.state.change(workflow.now(), note, **fields)\n"
        "        if record.percent != before:\n",
        new="        record = self.state.change(workflow.now(), note, **fields)\n"
        "        if record.percent > before:\n",
        scene=SCENES["slow images"],
        rule="history.progress",
        jobs=(),
    ),
    Mutant(
        name="address-of-the-picture",
        breaks="a job with a video shows the address of its picture",
        old='            "asset_url": stored.asset_url,\n',
        new='            "asset_url": self.record.asset_url or stored.asset_url,\n',
        rule="jobs.job.asset_url",
        jobs=(),
    ),
    Mutant(
        name="paid-video-dropped",
        breaks="a video that is ready after its job was cancelled is not stored",
        old="            if stage.name not in there and (bought :=",
        new="            if not (stage.called_back or stage.name in there) and (bought :=",
        scene=SCENES["cancelled in its video"],
        rule="files",
        jobs=("#1",),
    ),
    Mutant(
        name="time-runs-in-the-queue",
        breaks="a job's time begins before it has the slot",
        old="            await self._until_held(self._slot)\n"
        "            self._timer = asyncio.create_task(self._run_out())\n",
        new="            self._timer = asyncio.create_task(self._run_out())\n"
        "            await self._until_held(self._slot)\n",
        scene=SCENES["long wait"],
        rule="history.timers",
    ),
    Mutant(
        name="gate-kept",
        breaks="a stage's gate is given back only when its job closes",
        old="            self._gates[self._made[0].name].release()\n",
        new="            pass\n",
        scene=SCENES["gates"],
        rule="history.kept",
    ),
    Mutant(
        name="termination-told-as-a-time-out",
        breaks="a job that was terminated says that its time was up",
        old="return RESET if was_reset else drain.closed.value",
        new='return RESET if was_reset else "timed_out"',
        scene=SCENES["terminated"],
        rule="states.record.error.code",
        jobs=("#1",),
    ),
    Mutant(
        name="cancel-told-as-a-time-out",
        breaks="a job that was cancelled says that its time was up",
        old="        if reason is Reason.CANCELLED:\n",
        new="        if not reason:\n",
        scene=SCENES["cancelled in its video"],
        rule="history.limit",
        jobs=("#1",),
    ),
    Mutant(
        name="given-up-at-half",
        breaks="a video is given up after half of the time that it may take",
        old="        if self._longer(limits.give_up, self._accepted):\n",
        new="        if self._longer(limits.give_up / 2, self._accepted):\n",
        scene=SCENES["given up"],
        rule="history.activities[].ended",
        jobs=("#1",),
    ),
    Mutant(
        name="lost-at-once",
        breaks="an image that its vendor denies once is paid again, and goes on",
        old="        if self._news is None and self._longer(limits.lost, self._missing_since):\n",
        new="        if self._news is None:\n",
        scene=SCENES["denied once"],
        rule="history.activities[].ended",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="retry-after-ignored",
        breaks="a busy vendor is asked again before the time that it has said",
        old="    return kind(what, retry_after=pause)\n",
        new="    return kind(what)\n",
        scene=SCENES["busy vendor"],
        rule="history.activities[].started",
        jobs=(),
    ),
    Mutant(
        name="stopped-in-progress",
        breaks="an image that is slower than its deadline is stopped, and paid again",
        old="            if stop is not None and wait.is_still:\n",
        new="            if stop is not None:\n",
        scene=SCENES["one slow image"],
        rule="attempts",
        jobs=("#1",),
    ),
    Mutant(
        name="slow-retries",
        breaks="a call that failed is repeated seconds later",
        old="    initial_interval=timedelta(milliseconds=50),\n    backoff_coefficient",
        new="    initial_interval=timedelta(seconds=3),\n    backoff_coefficient",
        rule="history.activities[].pause",
    ),
    Mutant(
        name="clean-up-not-taken-over",
        breaks="another worker takes over a clean-up after an hour",
        old="KEPT, summary, limit, beats=limits.pace.times.work)\n",
        new="KEPT, summary, limit, beats=timedelta(hours=1))\n",
        scene=SCENES["cancelled in its video"],
        rule="history.activities[].heartbeat",
        jobs=("#1",),
    ),
    Mutant(
        name="reason-not-kept",
        breaks="a job does not keep the reason of its vendor's refusal",
        old="        error = job_error(failure.code, failure.message)\n",
        new='        error = job_error(failure.code, "The job failed.")\n',
        scene=SCENES["refused for good"],
        rule="history.failure",
        jobs=(),
    ),
    Mutant(
        name="callback-of-the-attempt-before",
        breaks="the callback of a failed attempt is taken for that of the next one",
        old="        self._called_back.add(done.external_id)\n",
        new='        stem = done.external_id.rpartition(".")[0]\n'
        '        self._called_back |= {f"{stem}.{n}" for n in range(1, 5)}\n',
        scene=SCENES["first generations fail"],
        rule="signals",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="flood-of-reports",
        breaks="each risen percent is a version of its own",
        old="        if now - self._reported_at < REPORT_SECONDS:\n",
        new="        if now - self._reported_at < 0.05:\n",
        more=(
            (
                "        further = self.percent - self._reported >= self._points\n",
                "        further = self.percent > self._reported\n",
            ),
        ),
        scene=SCENES["slow"],
        rule="history.orders[].reports",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="wait-noted-again",
        breaks="each poll of a late image notes that it is late",
        old="        if self.wait_reported or self._step is None:\n",
        new="        if self._step is None:\n",
        scene=SCENES["late images"],
        rule="history.orders[].waits",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="cancel-waits-for-the-image",
        breaks="a cancelled job lets its image go on to the end",
        old="        await self.until_any(started.handle.done)\n",
        new="        await workflow.wait_condition(started.handle.done)\n",
        scene=replace(SCENES["cancelled in its image"], stall=40),
        rule="image_ledger.outcome",
        jobs=("#1",),
    ),
    Mutant(
        name="found-task-forgotten",
        breaks="the record of a cancelled job lacks the task that its clean-up has found",
        old="        self._found = kept.tasks\n",
        new="",
        scene=SCENES["cancelled in doubt"],
        rule="states.record.tasks",
        jobs=("#1",),
    ),
    Mutant(
        name="picture-of-another-kind",
        breaks="each record calls its PNG a JPEG",
        old="media_type=stage.file.media_type)\n",
        new='media_type=stage.file.media_type.replace("png", "jpeg"))\n',
        rule="history.result.media_type",
    ),
    Mutant(
        name="metadata-kept",
        breaks="the vendor's own file of a picture is stored, with the words in it",
        old="        path = made if made.stat().st_size else fetched\n",
        new="        path = fetched\n",
        rule="files",
    ),
    Mutant(
        name="given-up-from-the-order",
        breaks="the time after which a video is given up runs from its order, not its acceptance",
        old="    accepted = Accepted(vendor_id=vendor_id, accepted_at=pulse.now())\n",
        new="    from temporalio import activity\n\n"
        "    ordered = activity.info().scheduled_time.timestamp()\n"
        "    accepted = Accepted(vendor_id=vendor_id, accepted_at=ordered)\n",
        scene=SCENES["away, then slow"],
        rule="history.activities[].result.accepted_at",
        jobs=("#1",),
    ),
    Mutant(
        name="fetched-twice",
        breaks="a file that came damaged twice is paid again",
        old="FETCH_TRIES = 3\n",
        new="FETCH_TRIES = 2\n",
        scene=SCENES["files corrupt"],
        rule="history.activities[].fetches",
    ),
    Mutant(
        name="outage-not-said",
        breaks="a job that waits for a vendor that is away does not say so",
        old="        if waits and info.attempt >= WAITING_TRIES:\n",
        new="        if waits and info.attempt >= 10 * WAITING_TRIES:\n",
        scene=SCENES["away"],
        rule="history.orders[].waits",
        jobs=("#1",),
    ),
    Mutant(
        name="late-video-not-said",
        breaks="only an image is said to be late",
        old="        if wait.is_late and not wait.is_over:\n",
        new="        if stop is not None and wait.is_late and not wait.is_over:\n",
        scene=SCENES["late videos"],
        rule="history.orders[].waits",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="adopted-late",
        breaks="a video whose submit had no reply is adopted only when a late one would have come",
        old="        if known is not None:\n            return known.vendor_id\n"
        "        if time.monotonic() >= until:\n            return None\n",
        new="        if time.monotonic() >= until:\n            return known and known.vendor_id\n",
        scene=SCENES["replies lost"],
        rule="waits.adoption",
    ),
    Mutant(
        name="failure-not-heard",
        breaks="a callback of a failure does not wake the job",
        old="        self._called_back.add(done.external_id)\n",
        new='        if done.task_status == "succeed":\n'
        "            self._called_back.add(done.external_id)\n",
        scene=SCENES["first videos fail"],
        rule="waits.heard",
        jobs=(),
    ),
    Mutant(
        name="heartbeats-too-rare",
        breaks="an activity sends heartbeats more seldom than its time-out allows",
        old="            await asyncio.sleep(between_beats(info.heartbeat_timeout))\n"
        "            pulse.beat()\n",
        new="            await asyncio.sleep(4 * between_beats(info.heartbeat_timeout))\n"
        "            pulse.beat()\n",
        scene=SCENES["slow images"],
        rule="waits.heartbeats",
        jobs=(),
    ),
)
