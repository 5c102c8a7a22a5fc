"""Right servers that no bundled target is: `soak_servers.py slow SIZE GAP` and `... websocket`.

The first echoes, but reads at most SIZE bytes every GAP seconds of the first LONG reads of each
connection; the second is the library `websockets`, and pings its clients twice a second. Both print
`listening URL` and run until they are killed.
"""

from __future__ import annotations

import asyncio
import socket
import sys

LONG = 100


async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    size, gap = int(sys.argv[2]), float(sys.argv[3])
    reads = 0
    try:
        while data := await reader.read(size if reads < LONG else 1 << 18):
            writer.write(data)
            await writer.drain()
            reads += 1
            if reads < LONG:
                await asyncio.sleep(gap)
        writer.write_eof()
    except OSError:
        pass
    finally:
        writer.close()


async def slow() -> None:
    server = await asyncio.start_server(slowly, "127.0.0.1", 0, limit=1 << 14, backlog=1024)
    await forever(server.sockets[0])


async def websocket() -> None:
    from websockets.asyncio.server import ServerConnection, serve

    async def talk(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(talk, "127.0.0.1", 0, ping_interval=0.5, ping_timeout=60) as server:
        await forever(next(iter(server.sockets)))


async def forever(listener: socket.socket) -> None:
    print(f"listening tcp://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(websocket() if sys.argv[1] == "websocket" else slow())
