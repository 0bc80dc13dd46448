"""The line server (README.md) on Python: asyncio with a periodic task, two worker threads behind queues."""

import asyncio
import queue
import threading

ticks = 0
requests: "queue.Queue" = queue.Queue()


def work() -> None:
    while True:
        loop, future = requests.get()
        loop.call_soon_threadsafe(future.set_result, threading.get_ident())


async def tick() -> None:
    global ticks
    while True:
        await asyncio.sleep(0.05)
        ticks += 1


async def ask_workers() -> int:
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(2)]
    for future in futures:
        requests.put((loop, future))
    return len(await asyncio.gather(*futures))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    total = 0
    while line := await reader.readline():
        total += int(line.split()[1])
        workers = await ask_workers()
        writer.write(f"sum {total} ticks {ticks} workers {workers}\n".encode())
        await writer.drain()
    writer.close()


async def main() -> None:
    for _ in range(2):
        threading.Thread(target=work, daemon=True).start()
    ticking = asyncio.create_task(tick())
    server = await asyncio.start_server(serve, "0.0.0.0", 9000)
    await asyncio.gather(server.serve_forever(), ticking)


asyncio.run(main())
