"""
Which addresses may be called: checked where the connection is made, so no spelling, redirect or name server gets around it.

The address that was checked is the one connected to; a name that answers differently the second time (rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

import httpcore
from httpcore._backends.auto import AutoBackend

from engine.errors import Refused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
"""Where clouds tell a machine its own secrets."""

_NAT64: Final = ip_network("64:ff9b::/96")
_SHARED: Final = ip_network("100.64.0.0/10")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy:
    """
    Where requests may go.

    Public addresses always; private and loopback ones where `allows_private`, or where an admin listed the host name or the
    network in `allowed`. Link-local, metadata, multicast and reserved addresses never.
    """

    allows_private: bool = False
    allowed: frozenset[str] = frozenset()

    def refusal(self, host: str, address: Address) -> str | None:
        """Return why this address may not be called, None when it may."""
        real = unwrapped(address)
        if real in METADATA or real.is_link_local:
            return "is reserved for the machine itself (link-local)"
        if real.is_multicast or real.is_unspecified or (real.is_reserved and not real.is_loopback):
            return "is no address of a server"
        if real.is_global and real not in _SHARED:
            return None
        if self.allows_private or self._is_listed(host, real):
            return None
        return "is on a private network"

    def _is_listed(self, host: str, address: Address) -> bool:
        for entry in self.allowed:
            if entry.lower() == host.lower():
                return True
            try:
                network: Network = ip_network(entry, strict=False)
            except ValueError:
                continue
            if network.version == address.version and address in network:
                return True
        return False


DESKTOP: Final = NetworkPolicy(allows_private=True)
"""A person's own machine: their printer and their router are theirs to call."""
SERVER: Final = NetworkPolicy()
"""A server for a team: its inside is not for every editor of a workflow."""


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 form of it leads to (mapped, 6to4, Teredo, NAT64), else the address."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only where the policy allows, to the very address that was checked."""

    def __init__(self, policy: NetworkPolicy) -> None:
        self._policy = policy
        self._plain = AutoBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, refuse unless all addresses are allowed, connect to the first that answers."""
        addresses = await self._resolve(host, port)
        for address in addresses:
            if reason := self._policy.refusal(host, address):
                hint = "An admin can allow the host or its network." if "private" in reason else None
                raise Refused(f"{host} may not be called: {address} {reason}.", hint=hint, where={"host": host})
        last: Exception | None = None
        for address in addresses:
            try:
                return await self._plain.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last or httpcore.ConnectError(f"{host} has no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: sockets of this machine are not the network."""
        raise Refused("Sockets of this machine may not be called.")

    async def sleep(self, seconds: float) -> None:
        """Wait between tries to connect."""
        await asyncio.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> list[Address]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"There is no host “{host}”.") from error
        return list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
