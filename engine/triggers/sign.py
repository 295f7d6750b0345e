"""
Signed webhooks: prove that a request comes from who it says, before a byte of it is read as data.

Styles: `standard` is Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`), `github`, `stripe` and
`slack` are what those services send, `hmac` is a plain HMAC-SHA256 of the body in a header of your choice. Signatures are
compared in constant time; where the style has a time stamp, one older than the tolerance is refused, and where it has an id,
that id is the firing's key, so a request that is sent again does not run again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.errors import BadInput, NotAllowed
from engine.triggers.timetable import parse_pause

STYLES = ("standard", "hmac", "github", "stripe", "slack")
TOLERANCE = timedelta(minutes=5)
SECRET_PREFIX = "whsec_"  # noqa: S105 - the public mark of a Standard Webhooks secret, no secret itself
KNOWN = {"style", "secret", "secret_env", "header", "prefix", "encoding", "tolerance"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """
    How the requests of one webhook are signed.

    Several secrets are accepted side by side, which is how a secret is changed without losing a request. `header`, `prefix`
    and `encoding` (`hex` or `base64`) hold for the style `hmac`.
    """

    style: str
    secrets: tuple[bytes, ...]
    header: str = "x-signature"
    prefix: str = ""
    encoding: str = "hex"
    tolerance: timedelta = TOLERANCE

    def __repr__(self) -> str:
        return f"Sign({self.style}, ***)"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        """
        Pass when the signature is right and fresh; returns the id of the message where the style has one.

        `headers` have lower-case names. Raises `NotAllowed`, which tells neither the secret nor the right signature.
        """
        match self.style:
            case "standard":
                return self._verify_standard(headers, body, now)
            case "stripe":
                self._verify_stripe(headers, body, now)
                return None
            case "slack":
                stamp = self._fresh(_header(headers, "x-slack-request-timestamp"), now)
                signed = b"v0:" + stamp.encode() + b":" + body
                self._expect(signed, [_header(headers, "x-slack-signature").removeprefix("v0=")], "hex")
                return None
            case "github":
                self._expect(body, [_header(headers, "x-hub-signature-256").removeprefix("sha256=")], "hex")
                return headers.get("x-github-delivery")
            case _:
                given = _header(headers, self.header)
                if not given.startswith(self.prefix):
                    raise _refused(f"the header {self.header} does not begin with “{self.prefix}”")
                self._expect(body, [given[len(self.prefix) :]], self.encoding)
                return None

    def _verify_standard(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        message_id = _header(headers, "webhook-id")
        stamp = self._fresh(_header(headers, "webhook-timestamp"), now)
        given = [part[3:] for part in _header(headers, "webhook-signature").split(" ") if part.startswith("v1,")]
        self._expect(b".".join((message_id.encode(), stamp.encode(), body)), given, "base64")
        return message_id

    def _verify_stripe(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        parts = [part.split("=", 1) for part in _header(headers, "stripe-signature").split(",") if "=" in part]
        stamp = self._fresh(next((value for name, value in parts if name.strip() == "t"), ""), now)
        given = [value for name, value in parts if name.strip() == "v1"]
        self._expect(stamp.encode() + b"." + body, given, "hex")

    def _fresh(self, stamp: str, now: datetime) -> str:
        if not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 12:
            raise _refused("its time stamp is no number of seconds")
        if abs(now.timestamp() - int(stamp)) > self.tolerance.total_seconds():
            raise _refused("its time stamp is too old or lies in the future")
        return stamp

    def _expect(self, signed: bytes, given: list[str], encoding: str) -> None:
        for secret in self.secrets:
            digest = hmac.new(secret, signed, hashlib.sha256).digest()
            right = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
            for text in given[:10]:
                if hmac.compare_digest(right.encode(), (text.lower() if encoding == "hex" else text).encode()):
                    return
        raise _refused("the signature is wrong")


def parse_sign(value: Any, environment: Mapping[str, str] | None = None) -> Sign | None:
    """
    Read `sign`: nothing, or an object with `style` and `secret` (a text or a list), or `secret_env` (an environment variable).

    Raises `BadInput`: a webhook whose secret is missing is not switched on.
    """
    if value in (None, "", "none", {}, False):
        return None
    if not isinstance(value, Mapping):
        raise BadInput("sign", "“sign” is an object.", hint="sign: {style: standard, secret_env: SHOP_WEBHOOK_SECRET}")
    if unknown := set(value) - KNOWN:
        raise BadInput("sign", f"“sign” has no “{min(map(str, unknown))}”.", hint=f"It knows {', '.join(sorted(KNOWN))}.")
    style = value.get("style", "standard")
    if style not in STYLES:
        raise BadInput("sign", f"There is no style of signing “{style}”.", hint=f"Known are {', '.join(STYLES)}.")
    encoding = value.get("encoding", "hex")
    if encoding not in {"hex", "base64"}:
        raise BadInput("sign", "The encoding of a signature is hex or base64.")
    secrets = tuple(_key(text, style) for text in _secrets(value, os.environ if environment is None else environment))
    return Sign(
        style=style,
        secrets=secrets,
        header=str(value.get("header", "x-signature")).lower(),
        prefix=str(value.get("prefix", "")),
        encoding=encoding,
        tolerance=parse_pause(value["tolerance"]) if value.get("tolerance") else TOLERANCE,
    )


def _secrets(value: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    given = value.get("secret")
    found = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple) else []
    if name := value.get("secret_env"):
        if not environment.get(str(name)):
            raise BadInput("sign", f"The environment variable {name} is not set.", hint="Start Treadle with it.")
        found += environment[str(name)].split()
    if not found or not all(isinstance(text, str) and len(text) >= 8 for text in found):
        raise BadInput("sign", "A signed webhook needs a secret of at least 8 characters.", hint="secret or secret_env.")
    return found


def _key(text: str, style: str) -> bytes:
    if style != "standard":
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("sign", "A Standard Webhooks secret is base64, with or without “whsec_” before it.") from error


def _header(headers: Mapping[str, str], name: str) -> str:
    if not (value := headers.get(name)):
        raise _refused(f"the header {name} is missing")
    return value


def _refused(why: str) -> NotAllowed:
    return NotAllowed(f"The request was refused: {why}.", hint="Does the sender use the same secret and style of signing?")
