"""A WebSocket server on a free port, by the library `websockets`: echoes, and obeys a few words.

It pings every connection five times a second, and drops those that leave a ping unanswered.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response


async def talk(connection: ServerConnection) -> None:
    async for message in connection:
        match message:
            case "in fragments":
                await connection.send(["in ", "three ", "fragments"])
            case "ping me":
                pong = await connection.ping(b"you")
                await connection.send("pinged")
                await pong
                await connection.send("ponged")
            case "close":
                await connection.close(4001, "as you wish")
                return
            case _:
                await connection.send(message)


def refuse(connection: ServerConnection, request: Request) -> Response | None:
    if request.path == "/forbidden":
        return connection.respond(HTTPStatus.FORBIDDEN, "no\n")
    return None


async def main() -> None:
    server = serve(
        talk,
        "127.0.0.1",
        0,
        process_request=refuse,
        ping_interval=0.2,
        ping_timeout=0.4,
        select_subprotocol=lambda connection, offered: offered[0] if offered else None,
    )
    async with server as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        print(f"listening tcp://127.0.0.1:{port}", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
