"""A server for probes, right or wrong by how it reads."""

SERVER = """
import asyncio, sys

async def serve(reader, writer):
    while data := await {read}:
        writer.write(b"<" + data.strip() + b">\\n")
    writer.close()

async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()

asyncio.run(main())
"""
SECURE = """
import socket, ssl, sys, threading

port, certificate = int(sys.argv[1]), sys.argv[2]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)

def serve(connection):
    try:
        for line in (file := connection.makefile("rwb")):
            file.write(b"<" + line.strip() + b">\\n")
            file.flush()
    except OSError:
        pass
    finally:
        connection.close()

listener = socket.create_server(("127.0.0.1", port), backlog=1024)
listener = context.wrap_socket(listener, server_side=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""
"""A listener that was wrapped as a whole: `accept` shakes hands, for one client after the other."""

FULL = """
import asyncio, socket, struct, sys

now = set()

async def serve(reader, writer):
    if len(now) > 15:
        end = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, end)
        return writer.close()
    now.add(writer)
    try:
        while data := await reader.readline():
            writer.write(b"<" + data.strip() + b">\\n")
    except OSError:
        pass
    finally:
        now.discard(writer)
        writer.close()

async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()

asyncio.run(main())
"""
"""More than sixteen at once are reset, as where a queue is full."""

NAMED = """
import asyncio, sys

names = {}

async def serve(reader, writer):
    name = (await reader.readline()).strip()
    if name in names:
        names[name].close()
    names[name] = writer
    writer.write(b"welcome\\n")
    while data := await reader.readline():
        writer.write(b"<" + data.strip() + b">\\n")
    writer.close()

async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()

asyncio.run(main())
"""
"""Who comes with a name that is taken has the other one closed, as MQTT's brokers do."""

LINES = "reader.readline()"
CHUNKS = "reader.read(4096)"
