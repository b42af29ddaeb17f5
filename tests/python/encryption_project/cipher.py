"""A cipher that hides nothing from people, but everything from a search for text: values are turned into noise by a key.

What it is asked goes to a file, and its key comes from one, so that a test can look and turn.
"""

import hashlib
import json
import os
import socket
from pathlib import Path

from langgraph_sdk import Encryption
from langgraph_sdk.encryption.types import DecryptResult, EncryptionContext

encryption = Encryption()
FOLDER = Path(os.environ["CIPHER_FOLDER"])
if gate := os.environ.get("LOADING_GATE"):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(gate)
        connection.sendall(b'{"pid": 0, "run_id": "", "attempt": 0, "name": "loading", "step": 0}\n')
        connection.recv(100)
# What a search has to find is always encrypted alike.
SEARCHED = "find_"


def key() -> str:
    return (FOLDER / "key").read_text()


def told(way: str, kind: str, ctx: EncryptionContext, names: list[str]) -> None:
    with (FOLDER / "asked").open("a") as file:
        line = [way, kind, ctx.model, ctx.field, ctx.metadata, names]
        file.write(json.dumps(line) + "\n")


def noise(data: bytes, seed: str) -> bytes:
    stream = b"".join(hashlib.sha256(f"{seed}{n}".encode()).digest() for n in range(len(data) // 32 + 1))
    return bytes(a ^ b for a, b in zip(data, stream))


def seal(data: bytes, nonce: str) -> str:
    return f"enc:{key()}:{nonce}:{noise(data, key() + nonce).hex()}"


def unseal(text: str) -> tuple[bytes, bool]:
    _, used, nonce, data = text.split(":")
    return noise(bytes.fromhex(data), used + nonce), used != key()


def sealed(data: dict) -> dict:
    nonce = lambda name: "0" if name.startswith(SEARCHED) else os.urandom(8).hex()
    return {name: seal(json.dumps(value).encode(), nonce(name)) for name, value in data.items()}


@encryption.encrypt.json
async def encrypt_json(ctx: EncryptionContext, data: dict) -> dict:
    told("encrypt", "json", ctx, sorted(data))
    match data.get("misbehave"):
        case "raise":
            raise RuntimeError("no key is to be had")
        case "drop":
            return {"other": 1}
        case "odd":
            return [1]
    return sealed(data)


@encryption.decrypt.json
async def decrypt_json(ctx: EncryptionContext, data: dict) -> dict | DecryptResult[dict]:
    told("decrypt", "json", ctx, sorted(data))
    opened = {name: unseal(value) for name, value in data.items()}
    plain = {name: json.loads(value) for name, (value, _) in opened.items()}
    if any(is_old for _, is_old in opened.values()):
        return DecryptResult(plain, sealed(plain))
    return plain


@encryption.encrypt.blob
async def encrypt_blob(ctx: EncryptionContext, blob: bytes) -> bytes:
    told("encrypt", "blob", ctx, [])
    return seal(blob, os.urandom(8).hex()).encode()


@encryption.decrypt.blob
async def decrypt_blob(ctx: EncryptionContext, blob: bytes) -> bytes | DecryptResult[bytes]:
    told("decrypt", "blob", ctx, [])
    plain, is_old = unseal(blob.decode())
    return DecryptResult(plain, seal(plain, os.urandom(8).hex()).encode()) if is_old else plain


@encryption.context
async def context(user, ctx: EncryptionContext) -> dict:
    if ctx.metadata.get("fail"):
        raise RuntimeError("no context is to be had")
    if not ctx.metadata:
        return {}
    return {**ctx.metadata, "tenant": user.identity}
