"""A WebSocket server on a free port, by the library `websockets`: echoes, and obeys a few words.

It pings every connection five times a second, and drops those that leave a ping unanswered. With
the files of a certificate and its key as arguments it speaks TLS.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
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
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:])
    server = serve(
        talk,
        "127.0.0.1",
        0,
        process_request=refuse,
        ssl=context,
        ping_interval=0.2,
        ping_timeout=0.4,
        select_subprotocol=lambda connection, offered: offered[0] if offered else None,
    )
    async with server as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        scheme = "tcp" if context is None else "tls"
        print(f"listening {scheme}://127.0.0.1:{port}", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
