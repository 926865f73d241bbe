"""An OSCORE server of aiocoap's, for suibi's client.

Usage: aiocoap_oscore_server.py CREDENTIALS. Says "listening on PORT", and serves for a minute at most, or until its
standard input ends: /note keeps what was PUT last, /count is observable and counts its PUTs.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import aiocoap
from aiocoap import resource
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper


class Note(resource.Resource):
    def __init__(self):
        super().__init__()
        self.text = b""

    async def render_get(self, request):
        return aiocoap.Message(payload=self.text)

    async def render_put(self, request):
        self.text = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)


class Count(resource.ObservableResource):
    def __init__(self):
        super().__init__()
        self.count = 0

    async def render_get(self, request):
        return aiocoap.Message(payload=str(self.count).encode())

    async def render_put(self, request):
        self.count += 1
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def main():
    credentials = Path(sys.argv[1]).resolve()
    os.chdir(credentials.parent)
    known = CredentialsMap()
    known.load_from_dict(json.loads(credentials.read_text()))
    site = resource.Site()
    site.add_resource(["note"], Note())
    site.add_resource(["count"], Count())
    port = free_port()
    await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, known), bind=("127.0.0.1", port)
    )
    print(f"listening on {port}", flush=True)
    loop = asyncio.get_running_loop()
    await asyncio.wait_for(loop.run_in_executor(None, sys.stdin.read), 60)


asyncio.run(main())
