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

STOPS = """
import os, pathlib, signal, socket, sys, threading, time

def serve(connection):
    with connection:
        told = time.monotonic()
        while data := connection.recv(4096):
            if time.monotonic() - told > 0.7:
                return end(connection)
            connection.sendall(b"<" + data.strip() + b">\\n")
            told = time.monotonic()

def end(connection):
    client = os.getppid()
    os.kill(client, signal.SIGSTOP)
    try:
        while pathlib.Path(f"/proc/{client}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            time.sleep(0.001)
        connection.close()
        time.sleep(0.5)
    finally:
        os.kill(client, signal.SIGCONT)

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
"""Ends who has been idle for a while, as the process that started it stands still: by its doing."""

GIVES_UP = """
import asyncio, sys

class Lines(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        *lines, self.data = (self.data + data).split(b"\\n")
        self.transport.write(b"".join(b"<" + line + b">\\n" for line in lines))

    def pause_writing(self):
        self.transport.abort()

async def main():
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Lines, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()

asyncio.run(main())
"""
"""Who does not read is reset."""

LINES = "reader.readline()"
CHUNKS = "reader.read(4096)"
