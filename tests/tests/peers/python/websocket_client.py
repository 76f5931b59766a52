"""A WebSocket client: websocket_client.py URI ADDRESS PORT SECONDS; is silent for so long; prints JSON."""
import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

URI, ADDRESS, PORT, SILENT = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])


def opened():
    return connect(URI, host=ADDRESS, port=PORT, max_size=None, ping_interval=None, proxy=None, open_timeout=30)


async def main():
    said = {}
    async with opened() as connection:
        for message in ["text", b"\x00bytes", "x" * 3_000_000]:
            await connection.send(message)
            assert await connection.recv() == message
        # Several on their way at once, both ways.
        await asyncio.gather(*(connection.send(str(number)) for number in range(500)))
        got = [await connection.recv() for _ in range(500)]
        said["messages"] = got == [str(number) for number in range(500)]
        said["ping"] = await (await connection.ping(b"from the client")) >= 0
        await connection.send("ping")
        said["pong"] = await connection.recv()
        await asyncio.sleep(SILENT)
        await connection.send("after the silence")
        said["silence"] = await connection.recv()
        await connection.close(3001, "done")
    async with opened() as connection:
        await connection.send("close 4002")
        try:
            await connection.recv()
        except ConnectionClosed as closed:
            said["closed"] = [closed.rcvd.code, closed.rcvd.reason]
    print(json.dumps(said))


asyncio.run(asyncio.wait_for(main(), 50))
