"""A graph that cannot be built: a value is not what its factory needs."""

from langchain_core.runnables import RunnableConfig


def make_graph(config: RunnableConfig):
    """Refuses."""
    raise ValueError("This graph refuses.")
