"""Passes TCP on, each octet so many milliseconds after it came: `forward.py HOST:PORT HOST:PORT MILLISECONDS`.

What goes on comes from the address that was connected to, which is one of this host.
"""

import asyncio
import sys

# So many reads wait; then no more is read.
READS = 64


async def carry(reader, writer, delay):
    """What comes in goes out later, and so does its end."""
    loop = asyncio.get_running_loop()
    waiting = asyncio.Queue(READS)

    async def take():
        data = b"there is some"
        while data:
            try:
                data = await reader.read(65536)
            except OSError:
                data = b""
            await waiting.put((loop.time() + delay, data))

    taking = asyncio.create_task(take())
    try:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        taking.cancel()
        writer.close()


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def main():
    here, there = address(sys.argv[1]), address(sys.argv[2])
    delay = int(sys.argv[3]) / 1000

    async def passed_on(reader, writer):
        try:
            on = await asyncio.open_connection(*there, local_addr=(here[0], 0))
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, on[1], delay), carry(on[0], writer, delay))

    server = await asyncio.start_server(passed_on, *here)
    print("listens", flush=True)
    await server.serve_forever()


asyncio.run(main())
