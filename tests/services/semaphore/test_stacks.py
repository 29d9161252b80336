"""Two stacks in one namespace: the second one polls nothing, and the first goes on."""

import pytest
from temporalio.client import Client

from shared.errors import AnotherStack, PayloadUnreadable
from shared.semaphore.state import MEMO_STACK
from shared.temporal.stacks import check_alone, semaphore_stack
from tests.fixtures.eventually import eventually
from tests.fixtures.temporal import NewClient
from tests.shared.semaphore.standins import Jobs, semaphore_of, stack_of

KEY = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY="


async def is_named(client: Client, stack: str) -> None:
    """Return when the semaphore that runs is that stack's."""
    await eventually(lambda: semaphore_stack(client), lambda name: name == stack)


async def one_job(jobs: Jobs, name: str) -> None:
    await jobs.start(name)
    await jobs.book.has_entered(name)
    await jobs.finish(name)


async def test_second_stack_refuses_and_the_first_continues(jobs: Jobs) -> None:
    async with semaphore_of(jobs.client, "one"):
        await is_named(jobs.client, "one")
        await is_refused(jobs)
        await one_job(jobs, "job")
        assert await semaphore_stack(jobs.client) == "one"
    # What a stack left is its own while it is down.
    await is_refused(jobs)
    async with semaphore_of(jobs.client, "one"):
        await one_job(jobs, "later")


async def is_refused(jobs: Jobs) -> None:
    with pytest.raises(AnotherStack) as refused:
        async with semaphore_of(jobs.client, "two"):
            pass
    for part in ("stack two", "stack one", jobs.client.namespace, "STACK=one"):
        assert part in str(refused.value)


@pytest.mark.parametrize(("first", "second"), [("one", "one"), ("one", ""), ("", "two")])
async def test_same_stack_and_one_without_a_name_are_accepted(
    jobs: Jobs, new_client: NewClient, first: str, second: str
) -> None:
    beside = await new_client(namespace=jobs.client.namespace)
    async with semaphore_of(jobs.client, first):
        await jobs.until(lambda view: True)
        await is_named(jobs.client, first)
        async with semaphore_of(beside, second):
            await one_job(jobs, "job")


async def test_terminated_semaphore_leaves_no_owner(jobs: Jobs) -> None:
    async with semaphore_of(jobs.client, "one"):
        await is_named(jobs.client, "one")
    await jobs.semaphore.terminate()
    async with semaphore_of(jobs.client, "two"):
        await is_named(jobs.client, "two")


async def test_changed_limit_and_next_run_keep_the_name(jobs: Jobs) -> None:
    async with semaphore_of(jobs.client, "one", max_history=25):
        await is_named(jobs.client, "one")
        first = await jobs.run()
        await jobs.change(limit=2)
        assert await semaphore_stack(jobs.client) == "one"
        for n in range(6):
            await one_job(jobs, f"job-{n}")
        await jobs.another_run(first)
    # Stopped, the run may not have come to write its own memo.
    assert await semaphore_stack(jobs.client) == "one"
    history = await jobs.semaphore.fetch_history()
    begun = history.events[0].workflow_execution_started_event_attributes
    assert begun.continued_execution_run_id
    assert begun.memo.fields[MEMO_STACK].data == b'"one"'


async def test_encrypted_name_without_the_key_is_unknown(new_client: NewClient) -> None:
    theirs = await new_client(KEY)
    ours = await new_client(namespace=theirs.namespace)
    async with stack_of(theirs, "one"):
        await is_named(theirs, "one")
        with pytest.raises(PayloadUnreadable):
            await semaphore_stack(ours)
        await check_alone(ours, "two")
