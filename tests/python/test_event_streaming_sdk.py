"""The event protocol with the official client, over both of its transports."""

import pytest
from langgraph_sdk import get_client, get_sync_client


@pytest.fixture
async def client(events_url):
    async with get_client(url=events_url, api_key=None) as client:
        yield client


HI = {"messages": [{"role": "user", "content": "hi"}]}
both = pytest.mark.parametrize("transport", ["sse", "websocket"])


@both
async def test_messages_and_tools_are_followed(client, transport):
    async with client.threads.stream(assistant_id="speaker", transport=transport) as thread:
        await thread.run.start(input=HI)
        # As one subscription: the client waits for ever if the second of two that begin at once is answered first.
        told = [item async for item in thread.interleave_projections(["messages", "tool_calls"])]
        assert [kind for kind, _ in told] == ["messages", "tool_calls", "messages"]
        first, call, last = [item for _, item in told]
        assert [await first.text, await last.text] == ["Let me add.", "It is 5"]
        assert (call.name, call.input, [delta async for delta in call.deltas]) == ("add", {"a": 2, "b": 3}, ["wait"])
        assert (await call.output)["content"] == "5"
        output = await thread.output
    assert [message["type"] for message in output["messages"]] == ["human", "ai", "tool", "ai"]


@both
async def test_a_question_is_answered(client, transport):
    async with client.threads.stream(assistant_id="asking", transport=transport) as thread:
        await thread.run.start(input={"n": 1})
        async for _ in thread.subscribe(["lifecycle", "input"]):
            if thread.interrupts:
                break
        assert [question["value"] for question in thread.interrupts] == ["really?"]
        await thread.run.respond("yes")
        assert (await thread.output)["log"] == ["answer: yes"]


@both
async def test_subgraphs_are_followed(client, transport):
    async with client.threads.stream(assistant_id="calm", transport=transport) as thread:
        await thread.run.start(input={"n": 1})
        assert [child.graph_name async for child in thread.subgraphs] == ["inner"]
        assert await thread.output == {"n": 1, "log": ["step"]}


async def test_named_channels_are_extensions(client):
    async with client.threads.stream(assistant_id="counted") as thread:
        await thread.run.start(input={"n": 1})
        assert [event["payload"]["n"] async for event in thread.extensions["counter"]] == [1, 2, "done"]


async def test_a_failure_is_raised(client):
    async with client.threads.stream(assistant_id="failing") as thread:
        await thread.run.start(input={"n": 1})
        with pytest.raises(Exception, match="kaboom"):
            await thread.output


async def test_a_thread_that_is_there_is_taken_up(client):
    async with client.threads.stream(assistant_id="counted") as thread:
        id = thread.thread_id
        await thread.run.start(input={"n": 1})
        await thread.output
    async with client.threads.stream(id, assistant_id="counted") as thread:
        assert await thread.output == {"n": 1, "log": ["step"]}
        states = [state async for state in thread.values]
    # The state as it is, then what led to it.
    assert states == [{"n": 1, "log": ["step"]}, {"n": 1, "log": []}, {"n": 1, "log": ["step"]}]


def test_the_synchronous_client_works_too(events_url):
    with get_sync_client(url=events_url, api_key=None) as client:
        with client.threads.stream(assistant_id="speaker") as thread:
            thread.run.start(input=HI)
            messages = list(thread.messages)
            assert [str(message.text) for message in messages] == ["Let me add.", "It is 5"]
