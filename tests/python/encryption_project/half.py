"""An encryption that cannot read what it writes, and something that is none."""

from langgraph_sdk import Encryption

encryption = Encryption()
nothing = Encryption()
text = "no encryption"


@encryption.encrypt.json
async def encrypt_json(ctx, data):
    return data
