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
LINES = "reader.readline()"
CHUNKS = "reader.read(4096)"
