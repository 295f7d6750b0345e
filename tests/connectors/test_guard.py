"""Which addresses may be called, in all their spellings."""

import socket
from ipaddress import ip_address

import pytest

from connectors._runtime.guard import DESKTOP, SERVER, GuardedBackend, NetworkPolicy, unwrapped
from connectors._runtime.http import HttpClient
from engine.errors import BadInput, Refused, Unavailable

from .conftest import Reply

pytestmark = pytest.mark.anyio

ALWAYS_CLOSED = [
    "169.254.169.254", "169.254.1.1", "fe80::1", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "224.0.0.1", "0.0.0.0",
    "::",    "255.255.255.255", "240.0.0.1", "::ffff:169.254.169.254", "2002:a9fe:a9fe::", "64:ff9b::a9fe:a9fe", "ff02::1",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1",
    "::1",
    "10.1.2.3",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "fd12::1",
    "::ffff:127.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", ALWAYS_CLOSED)
def test_some_are_never_called(address):
    """
    Metadata services, link-local, multicast and reserved addresses, wrapped in whichever form.
    """
    for policy in (DESKTOP, SERVER, NetworkPolicy(allowed=frozenset({"0.0.0.0/0", "::/0"}))):
        assert policy.refusal("host", ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_ones_are_a_persons_own(address):
    """
    Open on a desktop, closed on a server.
    """
    assert None is DESKTOP.refusal("host", ip_address(address))
    assert "is on a private network" == SERVER.refusal("host", ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_ones_are_open(address):
    """
    To everyone.
    """
    assert (None, None) == (DESKTOP.refusal("host", ip_address(address)), SERVER.refusal("host", ip_address(address)))


def test_an_admin_can_list_hosts_and_networks():
    """
    By name, by address, by network; nothing else opens with it.
    """
    policy = NetworkPolicy(allowed=frozenset({"printer.local", "10.1.0.0/16", "192.168.7.7"}))
    assert None is policy.refusal("Printer.local", ip_address("10.9.9.9"))
    assert None is policy.refusal("x", ip_address("10.1.200.1"))
    assert None is policy.refusal("x", ip_address("192.168.7.7"))
    assert policy.refusal("x", ip_address("10.2.0.1"))
    assert policy.refusal("x", ip_address("fd00::1"))


def test_wrapped_addresses_are_unwrapped():
    """
    Mapped, 6to4, Teredo, NAT64.
    """
    wrapped = ["::ffff:1.2.3.4", "2002:102:304::", "2001:0:4136:e378:8000:63bf:fefd:fcfb", "64:ff9b::102:304", "1.2.3.4"]
    assert {ip_address("1.2.3.4")} == {unwrapped(ip_address(text)) for text in wrapped}


SPELLINGS = [
    "127.0.0.1",
    "localhost",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
]


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_gets_through(host, server):
    """
    However loopback is written, a server does not call it.
    """
    server.routes["/"] = Reply({"secret": 1})
    async with HttpClient(SERVER) as strict:
        with pytest.raises((Refused, Unavailable, BadInput)):
            await strict.request("GET", f"http://{host}:{server.port}/")
    assert [] == server.asked


async def test_a_redirect_does_not_get_through(server, other):
    """
    The first host is listed, where it points to is not.
    """
    server.routes["/"] = Reply(status=302, headers={"location": f"http://localhost:{other.port}/"})
    other.routes["/"] = Reply({"secret": 1})
    async with HttpClient(_Listed(server.port)) as strict:
        with pytest.raises(Refused, match="private network"):
            await strict.request("GET", server.url("/"))
    assert (1, []) == (len(server.asked), other.asked)


class _Listed(NetworkPolicy):
    """Opens 127.0.0.1 by name only, as an admin would list one host."""

    def __init__(self, port):
        super().__init__(allowed=frozenset())

    def refusal(self, host, address):
        return None if host == "127.0.0.1" else super().refusal(host, address)


async def test_rebinding_gains_nothing(server, monkeypatch):
    """
    A name is resolved once; what was checked is what is connected to.
    """
    import asyncio

    answers = [
        [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))],
        [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))],
    ]
    asked, connected = [], []

    async def resolve(host, port, **options):
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    backend = GuardedBackend(SERVER)

    async def connect(host, port, *rest):
        connected.append(host)
        return "stream"

    monkeypatch.setattr(backend._plain, "connect_tcp", connect)
    assert "stream" == await backend.connect_tcp("rebind.example", 80)
    with pytest.raises(Refused, match=r"127\.0\.0\.1 is on a private network"):
        await backend.connect_tcp("rebind.example", 80)
    assert (["rebind.example"] * 2, ["8.8.8.8"]) == (asked, connected)


async def test_one_bad_address_among_good_ones_closes_the_name(monkeypatch):
    """
    A name that leads inside as well is not called at all.
    """
    import asyncio

    async def resolve(host, port, **options):
        return [(2, 1, 6, "", ("8.8.8.8", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(Refused, match=r"10\.0\.0\.1"):
        await GuardedBackend(SERVER).connect_tcp("mixed.example", 80)


async def test_sockets_of_the_machine_are_closed():
    """
    Docker's socket is no web address.
    """
    with pytest.raises(Refused, match="Sockets"):
        await GuardedBackend(DESKTOP).connect_unix_socket("/var/run/docker.sock")
    await GuardedBackend(DESKTOP).sleep(0)


async def test_the_next_address_is_tried_when_one_does_not_answer(server, monkeypatch):
    """
    A name with two addresses works while one of them does.
    """
    import asyncio

    async def resolve(host, port, **options):
        return [(2, 1, 6, "", ("127.0.0.2", port)), (2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    server.routes["/"] = Reply({"ok": 1})
    async with HttpClient(DESKTOP) as client:
        assert 200 == (await client.request("GET", f"http://two.example:{server.port}/")).status_code
