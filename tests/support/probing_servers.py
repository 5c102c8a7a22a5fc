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

LINES = "reader.readline()"
CHUNKS = "reader.read(4096)"
