"""A WebSocket server: websocket_server.py IP PORT; echoes messages; `close N` ends the connection with that code."""
import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def handle(connection):
    try:
        async for message in connection:
            words = message.split() if isinstance(message, str) else []
            if words[:1] == ["close"]:
                await connection.close(int(words[1]), "as asked")
            elif words[:1] == ["ping"]:
                await (await connection.ping(b"from the server"))
                await connection.send("pong came")
            else:
                await connection.send(message)
    except ConnectionClosed:
        pass
    print("closed", connection.close_code, connection.close_reason, flush=True)


async def main():
    async with serve(handle, sys.argv[1], int(sys.argv[2]), max_size=None, ping_interval=None):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
