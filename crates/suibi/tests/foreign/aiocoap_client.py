"""aiocoap against a suibi server: post, list, observe, upload, fetch, edit, delete.

Usage: aiocoap_client.py SCHEME://HOST:PORT [CREDENTIALS], where SCHEME is coap or coap+tcp. Ends with "all well", or
with what was not.
CREDENTIALS is a file of aiocoap's, as `suibi devices export` writes it; with it, all goes under OSCORE.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiocoap
from aiocoap import CHANGED, CONTENT, CREATED, DELETED, PRECONDITION_FAILED, VALID
from aiocoap import DELETE, GET, POST, PUT, Message

SERVER = sys.argv[1]
TEXT, LINKS, JSON = 0, 40, 50
LINE = "买了茶叶 bought tea, rice. \n".encode()
assert len(LINE) == 32
LONG = LINE * (100 * 1024 // 32)


async def ask(client, code, path, expected, **options):
    """One request; the answer must have the code that is expected."""
    message = Message(code=code, uri=f"{SERVER}/{path}", **options)
    answer = await asyncio.wait_for(client.request(message).response, 30)
    assert answer.code == expected, f"{code} /{path}: {answer.code} {answer.payload!r}"
    return answer


async def observes(client):
    """The first notification after the registration tells of a note that was posted later."""
    request = client.request(Message(code=GET, uri=f"{SERVER}/notes", observe=0))
    first = await asyncio.wait_for(request.response, 30)
    assert first.code == CONTENT and first.opt.observe is not None, "not taken as an observer"
    seen = asyncio.Queue()
    request.observation.register_callback(seen.put_nowait)
    await ask(client, POST, "notes", CREATED, payload=b"second, observed", content_format=TEXT)
    while True:
        notification = await asyncio.wait_for(seen.get(), 30)
        if b"second, observed" in notification.payload:
            break
    request.observation.cancel()


async def main():
    client = await aiocoap.Context.create_client_context()
    if len(sys.argv) > 2:
        credentials = Path(sys.argv[2]).resolve()
        # Its paths are relative to where it is.
        os.chdir(credentials.parent)
        # They are good for whatever the server is reached by.
        told = json.loads(credentials.read_text())
        scheme = SERVER.partition(":")[0]
        told = {uri.replace("coap:", f"{scheme}:"): entry for uri, entry in told.items()}
        client.client_credentials.load_from_dict(told)

    core = await ask(client, GET, ".well-known/core", CONTENT)
    assert core.opt.content_format == LINKS and b"</notes>" in core.payload, core.payload

    posted = await ask(
        client, POST, "notes", CREATED, payload="posted by aiocoap".encode(), content_format=TEXT
    )
    path = "/".join(posted.opt.location_path)
    assert path.startswith("notes/"), path
    one = await ask(client, GET, path, CONTENT)
    assert one.payload == b"posted by aiocoap", one.payload

    listed = await ask(client, GET, "notes", CONTENT, accept=JSON)
    assert "posted by aiocoap" in json.dumps(json.loads(listed.payload)), listed.payload
    listed = await ask(client, GET, "notes", CONTENT)
    assert listed.opt.etag, "a list without ETag"
    again = await ask(client, GET, "notes", VALID, etags=[listed.opt.etag])
    assert not again.payload

    await observes(client)

    # Block1 up, Block2 down.
    posted = await ask(client, POST, "notes", CREATED, payload=LONG, content_format=TEXT)
    long_path = "/".join(posted.opt.location_path)
    fetched = await ask(client, GET, long_path, CONTENT)
    assert fetched.payload == LONG, f"{len(fetched.payload)} of {len(LONG)} bytes came back"

    # A note with an id of our own is made once, however often it is sent.
    own = "notes/01940000-0000-7000-8000-0000000a10c0"
    await ask(client, PUT, own, CREATED, payload=b"made once", if_none_match=True)
    await ask(client, PUT, own, PRECONDITION_FAILED, payload=b"made twice", if_none_match=True)

    # An edit counts only for what it was made of.
    before = await ask(client, GET, path, CONTENT)
    assert before.opt.etag, "a note without ETag"
    await ask(client, PUT, path, CHANGED, payload=b"edited", if_match=[before.opt.etag])
    await ask(client, PUT, path, PRECONDITION_FAILED, payload=b"late", if_match=[before.opt.etag])
    await ask(client, PUT, path, CHANGED, payload=b"posted by aiocoap")

    gone = await ask(client, POST, "notes", CREATED, payload=b"soon gone")
    await ask(client, DELETE, "/".join(gone.opt.location_path), DELETED)

    await client.shutdown()
    print("all well")


asyncio.run(main())
