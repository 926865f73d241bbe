"""A server of aiocoap's that says 2.01 to every POST of a note and stores nothing, until it is killed."""

import asyncio
import socket
import sys

import aiocoap
from aiocoap import resource


class Notes(resource.Resource):
    async def render_post(self, request):
        return aiocoap.Message(code=aiocoap.CREATED)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def main():
    site = resource.Site()
    site.add_resource(["notes"], Notes())
    port = free_port()
    await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", port))
    print(f"coap 127.0.0.1:{port}\nready", file=sys.stderr, flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
