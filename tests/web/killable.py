"""A Treadle without a screen in a process of its own, made to be killed: `python -m tests.web.killable FOLDER`."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn

from tests.web.house import House


async def main() -> None:
    house = await House(Path(sys.argv[1])).start()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(house.front(), log_level="error", access_log=False))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main())
