"""A registration that is wrong: the factory makes something else."""

from langchain_core.runnables import RunnableConfig


def make_graph(config: RunnableConfig):
    """Makes text."""
    return "not a graph"
