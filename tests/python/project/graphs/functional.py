"""A workflow of the functional API that remembers its last result."""

from langgraph.func import entrypoint, task


@task
async def double(number: int) -> int:
    return 2 * number


@entrypoint()
async def workflow(numbers: dict, *, previous: dict | None = None) -> dict:
    return {"doubled": await double(numbers["n"]), "previous": previous and previous["doubled"]}
