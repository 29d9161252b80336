"""Receipts in a bucket: several receivers, of which any may die."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from services.callback import receiver as module
from services.callback.books.book import Book, JobBook
from services.callback.books.entries import Clock, utc_now
from services.callback.books.shared_books import PREFIX, SharedBooks
from services.callback.errors import NotKept
from services.callback.models import Callback, Entry, Event, Fate, TaskStatus
from services.callback.receiver import Receiver
from services.callback.settings import CallbackSettings
from shared.errors import TemporalUnavailable
from shared.jobs.ids import external_id, new_job_id
from shared.jobs.states import Status, Step
from shared.store.chosen import chosen_store
from shared.store.protocol import Store
from shared.store.records import Records
from tests.fixtures.object_store import given_for, settings_for
from tests.services.callback.conftest import SECRET, start_job, told
from tests.shared.processes import free_port
from tests.shared.standins import CREATED, client_of_nobody, sample_record

JOB_ID = new_job_id()


@pytest.fixture
def settings(moto: str) -> CallbackSettings:
    """Of receivers over a prefix of their own."""
    given = given_for(moto, prefix=new_job_id(), callback_secret=SecretStr(SECRET))
    return CallbackSettings.model_validate(given)


@pytest.fixture
def store(settings: CallbackSettings) -> Store:
    return chosen_store(settings)


@pytest.fixture
async def made() -> AsyncIterator[list[SharedBooks | Receiver]]:
    """What is closed at the end."""
    made: list[SharedBooks | Receiver] = []
    yield made
    for each in made:
        await (each.committer if isinstance(each, Receiver) else each).close()


@pytest.fixture
def books(store: Store, made: list[SharedBooks | Receiver]) -> Callable[[], SharedBooks]:
    """Books of one receiver more."""

    def make() -> SharedBooks:
        made.append(each := SharedBooks(store))
        return each

    return make


@pytest.fixture
def receiver(
    settings: CallbackSettings, made: list[SharedBooks | Receiver]
) -> Callable[..., Receiver]:
    """One receiver more."""

    def make(client: Client, now: Clock = utc_now) -> Receiver:
        made.append(each := Receiver(settings, client, now=now))
        return each

    return make


def record(store: Store, job_id: str, **fields: Any) -> None:
    known = {f"{job_id}.video.1": "task-1"}
    made = sample_record(job_id).model_copy(
        update={"status": Status.RUNNING, "step": Step.VIDEO, "tasks": known, **fields}
    )
    Records(store).write(made)


def end() -> Callback:
    return Callback.model_validate(
        {"task_id": "task-1", "task_status": "succeed", "updated_at": 1000}
    )


def event(job_id: str) -> Event:
    ours = external_id(job_id, Step.VIDEO, 1)
    return Event(utc_now(), ours, "task-1", TaskStatus.SUCCEED, 1000)


def added(book: Book, job_id: str) -> int:
    return book.add(Entry(0, event(job_id), None))


async def test_what_one_has_kept_and_died_over_another_one_signals(
    receiver: Callable[..., Receiver],
    store: Store,
    client: Client,
    jobs: None,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ABANDONED_SECONDS", 0)
    job_id = new_job_id()
    await start_job(client, job_id)
    record(store, job_id)
    first = receiver(await client_of_nobody(free_port()))
    with pytest.raises(TemporalUnavailable):
        await first.receive(f"{job_id}.video.1", end())

    second = receiver(client)
    await second.refresh()
    await second.signal_pending()
    assert [each.task_id for each in await told(client, job_id)] == ["task-1"]
    newest = partial(Book.newest, job_id=job_id, limit=9)
    for each in (first, second):
        (entry,) = await each.committer.run(newest, job_id)
        assert entry.fate is Fate.APPLIED


async def test_of_two_that_hear_the_same_one_applies_it(
    receiver: Callable[..., Receiver], store: Store, client: Client, jobs: None
) -> None:
    job_id = new_job_id()
    await start_job(client, job_id)
    record(store, job_id)
    two = [receiver(client) for _ in range(2)]
    heard = await asyncio.gather(*(each.receive(f"{job_id}.video.1", end()) for each in two))
    assert sorted(str(each.fate) for each in heard) in (
        # The second waits for the first one's word, or signals both, which the job takes as one.
        ["applied", "applied"],
        ["applied", "duplicate"],
    )
    newest = partial(Book.newest, job_id=job_id, limit=9)
    entries = await two[0].committer.run(newest, job_id)
    assert len({entry.receipt_id for entry in entries}) == 2
    assert {entry.fate for entry in entries} == {Fate.APPLIED, Fate.DUPLICATE}
    assert (await two[0].receive(f"{job_id}.video.1", end())).fate is Fate.DUPLICATE


async def test_whoever_is_overtaken_does_its_work_again(
    store: Store, books: Callable[[], SharedBooks]
) -> None:
    job_id, ours = new_job_id(), books()
    rounds = 0

    def work(book: Book) -> int:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            with closing(JobBook()) as theirs:
                added(theirs, job_id)
                assert store.put_if_absent(f"{PREFIX}{job_id}.json", JobBook.to_json(theirs.rows()))
        added(book, job_id)
        return book.count(job_id)

    assert await ours.run(work, job_id) == 2
    assert rounds == 2
    assert await ours.run(lambda book: book.count(job_id)) == 2


async def test_each_knows_what_the_others_have_kept_and_removed(
    store: Store, books: Callable[[], SharedBooks]
) -> None:
    job_id, ours, theirs = new_job_id(), books(), books()
    first = await theirs.run(partial(added, job_id=job_id), job_id)
    assert await ours.run(Book.waiting) == 0
    await ours.refresh()
    assert await ours.run(Book.waiting_jobs) == [job_id]
    assert await ours.run(partial(Book.waiting_jobs, before=CREATED)) == []
    assert await ours.run(partial(added, job_id=job_id), job_id) > first

    def emptied(book: Book) -> None:
        book.connection.execute("DELETE FROM callbacks")

    await theirs.run(emptied, job_id)
    assert list(store.list(PREFIX)) == []
    await ours.refresh()
    assert await ours.run(Book.waiting) == 0


async def test_old_receipts_go_with_their_job(
    receiver: Callable[..., Receiver], store: Store, client: Client, jobs: None
) -> None:
    job_id = new_job_id()
    record(store, job_id, status=Status.SUCCEEDED, finished_at=CREATED - timedelta(days=400))
    early = receiver(client, now=lambda: CREATED - timedelta(days=300))
    await early.receive(f"{job_id}.video.1", end())
    later = receiver(client)
    await later.refresh()
    await later.forget_old(timedelta(days=1))
    assert list(store.list(PREFIX)) == []


async def test_while_the_store_is_away_nothing_is_taken(made: list[SharedBooks | Receiver]) -> None:
    nowhere = SharedBooks(chosen_store(settings_for("http://127.0.0.1:9")))
    made.append(nowhere)
    with pytest.raises(NotKept):
        await nowhere.run(partial(added, job_id=JOB_ID), JOB_ID)
    with pytest.raises(NotKept):
        await nowhere.refresh()


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'[{"receipt_id": "a"}]'])
async def test_what_can_not_be_read_begins_anew(
    store: Store, books: Callable[[], SharedBooks], damage: bytes
) -> None:
    store.put_if_absent(f"{PREFIX}{JOB_ID}.json", damage)
    ours = books()
    await ours.refresh()
    await ours.run(partial(added, job_id=JOB_ID), JOB_ID)
    assert await ours.run(partial(Book.count, job_id=JOB_ID), JOB_ID) == 1
