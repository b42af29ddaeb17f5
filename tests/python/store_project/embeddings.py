"""Embeddings that a person can compute: how often each of the letters a to d is in the text."""

import time

from langchain_core.embeddings import Embeddings


def embed(texts: list[str]) -> list[list[float]]:
    if any("boom" in text for text in texts):
        raise ValueError("no embedding today")
    if any("sleep" in text for text in texts):
        time.sleep(4)
    if any("exit" in text for text in texts):
        raise SystemExit(3)
    if any("few" in text for text in texts):
        return []
    if any("nan" in text for text in texts):
        return [[float("nan")] * 4 for _ in texts]
    if any("short" in text for text in texts):
        return [[1.0] * 3 for _ in texts]
    return [[float(text.count(letter)) for letter in "abcd"] for text in texts]


async def embed_async(texts: list[str]) -> list[list[float]]:
    return embed(texts)


class Letters(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return embed(texts)

    def embed_query(self, text: str) -> list[float]:
        # Documents and queries may be embedded differently: this one looks for the next letter.
        return embed(["bcd."["abcd".index(text)]])[0]


letters = Letters()
number = 5
