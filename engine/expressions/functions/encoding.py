"""Functions that turn texts into other texts: JSON, hashes, base64, addresses."""

from __future__ import annotations

import base64 as base64_library
import hashlib
import hmac
import html
import uuid as uuid_library
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import orjson

from ..budget import Meter
from ..errors import ExpressionError
from ..values import json_text, scalar_text
from .spec import Flag, Object, Text, Value, function


@function("encoding", ("json({a: [1, null]})", '{"a":[1,null]}'), ('json("é")', '"é"'), ("json(1, true)", "1"))
def json(meter: Meter, value: Value, pretty: Flag = False) -> str:
    """Writes a value as JSON; with `pretty` on several lines."""
    return json_text(value, meter, indent=pretty)


@function("encoding", ('parse_json("[1, {}]")', [1, {}]), ('try(parse_json("{"), "broken")', "broken"))
def parse_json(meter: Meter, text: Text) -> Any:
    """Reads a value from JSON."""
    data = text.encode()
    # What the text may become in memory, at most: so many lists, objects, values and letters.
    commas = data.count(b",")
    meter.take(80 * data.count(b"[") + 260 * data.count(b"{") + 110 * (commas + 1) + 2 * len(data))
    meter.charge(len(data) >> 6)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ExpressionError(f"the text is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None


@function("encoding", ('sha256("abc").left(8)', "ba7816bf"))
def sha256(meter: Meter, text: Text) -> str:
    """Gives the SHA-256 hash as hex digits."""
    return hashlib.sha256(_bytes(meter, text)).hexdigest()


@function("encoding", ('sha512("abc").left(8)', "ddaf35a1"))
def sha512(meter: Meter, text: Text) -> str:
    """Gives the SHA-512 hash as hex digits."""
    return hashlib.sha512(_bytes(meter, text)).hexdigest()


@function("encoding", ('sha1("abc").left(8)', "a9993e36"))
def sha1(meter: Meter, text: Text) -> str:
    """Gives the SHA-1 hash as hex digits; for services that ask for it, not for protection."""
    return hashlib.sha1(_bytes(meter, text), usedforsecurity=False).hexdigest()


@function("encoding", ('md5("abc")', "900150983cd24fb0d6963f7d28e17f72"))
def md5(meter: Meter, text: Text) -> str:
    """Gives the MD5 hash as hex digits; for services that ask for it, not for protection."""
    return hashlib.md5(_bytes(meter, text), usedforsecurity=False).hexdigest()


@function(
    "encoding",
    ('hmac("message", "key").left(8)', "6e9ef29b"),
    ('hmac("message", "key", "sha1")', "2088df74d5f2146b48146caf4965377e9d0be3a4"),
)
def hmac_(meter: Meter, text: Text, key: Text, method: Text = "sha256") -> str:
    """Signs a text with a key, as hex digits; the method is sha256, sha512 or sha1."""
    if method not in ("sha256", "sha512", "sha1"):
        raise ExpressionError("the method is sha256, sha512 or sha1")
    return hmac.new(_bytes(meter, key), _bytes(meter, text), method).hexdigest()


@function("encoding", ('base64("Größe")', "R3LDtsOfZQ=="), ('base64("a?>", true)', "YT8-"))
def base64(meter: Meter, text: Text, for_url: Flag = False) -> str:
    """Writes a text in base64; with `for_url` with - and _ and without = at the end."""
    data = _bytes(meter, text)
    meter.take_text(len(data) * 4 // 3 + 4)
    return base64_library.urlsafe_b64encode(data).decode().rstrip("=") if for_url else base64_library.b64encode(data).decode()


@function("encoding", ('base64_decode("R3LDtsOfZQ==")', "Größe"), ('base64_decode("YT8-")', "a?>"))
def base64_decode(meter: Meter, text: Text) -> str:
    """Reads a text from base64, of either kind."""
    meter.take(2 * len(text))
    try:
        data = base64_library.b64decode(text.translate({45: 43, 95: 47}) + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise ExpressionError("the text is not base64") from None
    return _decoded(data)


@function("encoding", ('hex("AZ")', "415a"))
def hex_(meter: Meter, text: Text) -> str:
    """Writes the bytes of a text as hex digits."""
    data = _bytes(meter, text)
    meter.take_text(2 * len(data))
    return data.hex()


@function("encoding", ('hex_decode("415a")', "AZ"))
def hex_decode(meter: Meter, text: Text) -> str:
    """Reads a text from hex digits."""
    meter.take(len(text))
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise ExpressionError("the text is not made of hex digits") from None
    return _decoded(data)


def _bytes(meter: Meter, text: str) -> bytes:
    meter.take(len(text) * (1 if text.isascii() else 4))
    meter.charge(len(text) >> 8)
    return text.encode()


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ExpressionError("what it holds is not text in UTF-8") from None


@function("encoding", ('url_encode("a b&c/ü")', "a%20b%26c%2F%C3%BC"), ("url_encode(7)", "7"))
def url_encode(meter: Meter, value: Value) -> str:
    """Makes a value safe as a part of an address."""
    text = scalar_text(value)
    if text is None:
        raise ExpressionError("url_encode(…) needs a text or a number", hint="use ?? to give a value for missing fields")
    meter.charge(len(text) >> 2)
    meter.take_text(len(text) * (3 if text.isascii() else 12))
    return quote(text, safe="")


@function("encoding", ('url_decode("a%20b+c")', "a b c"))
def url_decode(meter: Meter, text: Text) -> str:
    """Reads a part of an address."""
    meter.charge(len(text) >> 2)
    meter.take(len(text) * 40 if "%" in text else len(text) * 2)
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


@function("encoding", ('query({q: "a b", page: 2, none: null})', "q=a%20b&page=2"))
def query(meter: Meter, fields: Object) -> str:
    """Writes an object as the query of an address; null is left out, a list repeats its name."""
    pairs = []
    for name, value in fields.items():
        for entry in value if isinstance(value, list) else [value]:
            if entry is not None:
                pairs.append(f"{quote(name, safe='')}={url_encode(meter, entry)}")
    return "&".join(pairs)


@function("encoding", ('html_escape("<b>&</b>")', "&lt;b&gt;&amp;&lt;/b&gt;"))
def html_escape(meter: Meter, text: Text) -> str:
    """Makes a text safe inside HTML."""
    meter.take_text(len(text) + 5 * sum(map(text.count, "&<>\"'")), not text.isascii())
    return html.escape(text)


@function("encoding", ("length(uuid())", 36), is_flat=True, is_random=True)
def uuid() -> str:
    """Gives a new random identifier; another one each time."""
    return str(uuid_library.uuid4())


@function("encoding", ('uuid_of("order-7")', "604e6870-178a-5a7e-b1db-db3977b9e617"))
def uuid_of(meter: Meter, text: Text) -> str:
    """Gives the identifier that always belongs to this text (UUID version 5)."""
    _bytes(meter, text)
    return str(uuid_library.uuid5(uuid_library.NAMESPACE_URL, text))
