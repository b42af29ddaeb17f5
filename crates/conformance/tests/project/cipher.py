"""Handlers that hide nothing: what matters here is that there are some, for then a request may name their context."""

from langgraph_sdk import Encryption

encryption = Encryption()


@encryption.encrypt.json
async def encrypt_json(ctx, data):
    return data


@encryption.decrypt.json
async def decrypt_json(ctx, data):
    return data


@encryption.encrypt.blob
async def encrypt_blob(ctx, blob):
    return blob


@encryption.decrypt.blob
async def decrypt_blob(ctx, blob):
    return blob
