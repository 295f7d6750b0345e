"""A studio with one button behind the real gate and guard; prints its port and ends with its stdin."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI
from nicegui import Client, ui

from app.web.asgi import read_body, send_json
from app.web.dispatcher import Dispatcher
from app.web.security import Gate, Hosts
from app.web.sessions import Sessions, make_launch_token
from app.web.socket_guard import SocketGuard
from engine.clock import SystemClock

KEY = b"k" * 32
clock = SystemClock()
sessions = Sessions(KEY, clock)
clicks: list[str] = []


@ui.page("/")
def page() -> None:
    client = ui.context.client
    ui.button("Press", on_click=lambda: clicks.append(client.id)).mark("press")


async def lookout(scope: Any, receive: Any, send: Any) -> None:
    """Tell what an attacker may know at worst: every page's ids; and do what the owner may do: end a session."""
    if scope["path"] == "/hooks/link":
        await send_json(send, 200, {"path": f"/?launch={make_launch_token(KEY, clock)}"})
        return
    if scope["path"] == "/hooks/end":
        sessions.end(sessions.find((await read_body(receive, 10_000) or b"").decode()) or "")
    buttons = {
        client.id: {
            "element": element.id,
            "listener": next(iter(element._event_listeners)),
            "sockets": len(client._socket_to_document_id),
        }
        for client in list(Client.instances.values())
        for element in list(client.elements.values())
        if isinstance(element, ui.button)
    }
    await send_json(send, 200, {"clicks": clicks, "pages": buttons})


def main() -> None:
    outer = FastAPI(openapi_url=None)
    ui.run_with(outer, show_welcome_message=False, reconnect_timeout=30)
    SocketGuard(sessions).install()
    app = Dispatcher(Gate(outer, sessions), hooks=lookout, api=lookout, hosts=Hosts())
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="on"))

    def watch() -> None:
        sys.stdin.read()
        server.should_exit = True
        server.force_exit = True

    threading.Thread(target=watch, daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
