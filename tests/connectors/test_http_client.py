"""The one way out: bodies, files, redirects, limits, and failures by meaning."""

import asyncio
import gzip
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from connectors._runtime.answers import Answer, retry_after, shown_url
from connectors._runtime.guard import DESKTOP, SERVER
from connectors._runtime.http import HttpClient, Limits
from engine.errors import BadInput, RateLimited, Refused, SignInAgain, TimedOut, TooLarge, Unavailable

from .conftest import Reply

pytestmark = pytest.mark.anyio


async def test_json_goes_and_comes(server, client):
    """
    A body is sent as JSON and read as JSON; header names are lower-case.
    """
    server.routes["/a"] = Reply({"ok": True}, headers={"X-One": "1"})
    answer = await client.request("post", server.url("/a"), json={"n": 1})
    assert (200, {"ok": True}, "1") == (answer.status_code, answer.json(), answer.headers["x-one"])
    assert ("POST", {"n": 1}, "application/json") == (
        server.asked[0].method,
        server.asked[0].json,
        server.asked[0].headers["content-type"],
    )


async def test_queries_are_added_to_the_address(server, client):
    """
    What the address has stays unless it is said anew; lists repeat, null is left out.
    """
    server.routes["/a"] = Reply({})
    await client.request(
        "GET", server.url("/a?x=1&y=2"), query={"y": 3, "l": ["a", "b"], "no": None, "flag": True, "o": {"k": 1}}
    )
    assert [("x", "1"), ("y", "3"), ("l", "a"), ("l", "b"), ("flag", "true"), ("o", '{"k":1}')] == server.asked[0].query


async def test_forms_and_files(server, client, files):
    """
    Forms are encoded, files streamed with their length, both together as multipart.
    """
    server.routes["/a"] = Reply({})
    data = bytes(range(256)) * 2000
    file = await files.keep(data, name="x.bin", media_type="application/x-demo")
    await client.request("POST", server.url("/a"), form={"a": "1 2", "l": ["x", "y"], "n": None})
    await client.request("PUT", server.url("/a"), file=file, files=files)
    await client.request("POST", server.url("/a"), multipart={"a": "1", "doc": file}, files=files)
    form, raw, multi = server.asked
    assert b"a=1+2&l=x&l=y" == form.body
    assert (data, "application/x-demo", str(len(data))) == (
        raw.body,
        raw.headers["content-type"],
        raw.headers["content-length"],
    )
    assert multi.headers["content-type"].startswith("multipart/form-data")
    assert data in multi.body
    assert b'filename="x.bin"' in multi.body
    with pytest.raises(BadInput, match="no place files"):
        await client.request("PUT", server.url("/a"), file=file)


@pytest.mark.parametrize(
    ("body", "headers", "as_file", "is_file"),
    [
        pytest.param(b"text", {"content-type": "text/plain"}, None, False, id="small text"),
        pytest.param(b"x" * 200_000, {"content-type": "text/plain"}, None, True, id="big text"),
        pytest.param(b"\x89PNG", {"content-type": "image/png"}, None, True, id="small binary"),
        pytest.param(b"\x00" * 300_000, {"content-type": "image/png"}, None, True, id="big binary"),
        pytest.param(b"x", {}, None, False, id="no type"),
        pytest.param(b"text", {"content-type": "text/plain"}, True, True, id="file wanted"),
        pytest.param(b"x" * 200_000, {"content-type": "image/png"}, False, False, id="no file wanted"),
    ],
)
async def test_what_becomes_a_file(server, client, files, body, headers, as_file, is_file):
    """
    Binary and big answers go to the store and come back whole; small texts stay at hand.
    """
    server.routes["/dir/name.bin"] = Reply(body, headers=headers)
    answer = await client.request("GET", server.url("/dir/name.bin"), files=files, as_file=as_file)
    assert is_file == (answer.file is not None)
    if answer.file:
        with files.open(answer.file) as stream:
            assert body == stream.read()
        assert ("name.bin", len(body)) == (answer.file.name, answer.file.size)
    else:
        assert body == answer.content


@pytest.mark.parametrize(
    ("path", "disposition", "expected"),
    [
        ("/a", 'attachment; filename="r.pdf"', "r.pdf"),
        ("/a", 'x; filename="../../etc/passwd"', "passwd"),
        ("/", "", "download"),
        ("/a/b.pdf", "", "b.pdf"),
    ],
)
async def test_names_of_downloads(server, client, files, path, disposition, expected):
    """
    What the service says, else the end of the address; never a path.
    """
    server.routes[path] = Reply(b"x", headers={"content-type": "application/pdf", "content-disposition": disposition})
    assert expected == (await client.request("GET", server.url(path), files=files)).file.name


@pytest.mark.parametrize("announces", [True, False])
@pytest.mark.parametrize("media_type", ["text/plain", "image/png"])
async def test_answers_have_a_largest_size(server, client, files, announces, media_type):
    """
    Announced or not, packed or not, more than allowed is not taken.
    """
    body = b"x" * 2_000_000
    packed = {} if announces else {"content-encoding": "gzip"}
    server.routes["/a"] = Reply(body if announces else gzip.compress(body), headers={"content-type": media_type, **packed})
    with pytest.raises(TooLarge, match="more than 1 MB"):
        await client.request("GET", server.url("/a"), files=files)
    assert 2_000_000 == (await client.request("GET", server.url("/a"), files=files, max_bytes=3_000_000)).file.size


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, Refused, "answered 400 Bad Request"),
        (401, Refused, "answered 401"),
        (404, Refused, "answered 404 Not Found"),
        (408, TimedOut, "answered 408"),
        (422, Refused, "answered 422"),
        (429, RateLimited, "asked us to wait"),
        (500, Unavailable, "answered 500"),
        (503, Unavailable, "answered 503"),
        (599, Unavailable, "answered 599."),
    ],
)
async def test_statuses_mean_something(server, client, status, kind, words):
    """
    The error says whether trying again can help, and shows what the service said, without the query.
    """
    server.routes["/a"] = Reply({"why": "because"}, status=status)
    with pytest.raises(kind, match=words) as caught:
        await client.request("GET", server.url("/a?token=secret"))
    assert (status, '{"why": "because"}') == (caught.value.where["status"], caught.value.where["body"])
    assert server.url("/a") == caught.value.where["url"]
    answer = await client.request("GET", server.url("/a"), fail_on_status=False)
    assert (status, {"why": "because"}) == (answer.status_code, answer.data())


async def test_401_with_a_connection_asks_to_sign_in_again(server, client):
    """
    What was accepted once no longer is.
    """
    server.routes["/a"] = Reply(status=401)
    with pytest.raises(SignInAgain):
        await client.request("GET", server.url("/a"), has_connection=True)


NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0),
        ({"retry-after": "999999999"}, 86_400),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-reset": "30"}, 30),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 45)}, 45),
        ({"ratelimit-reset": "x"}, None),
        ({}, None),
    ],
)
async def test_how_long_to_wait(headers, expected):
    """
    Seconds or a date, or the moment the limit resets; at most a day, never negative.
    """
    found = retry_after(headers, NOW)
    assert expected == (None if found is None else found.total_seconds())


async def test_the_wait_is_carried_by_the_error(server, client):
    """
    The engine's retry honours it.
    """
    server.routes["/a"] = Reply(status=503, headers={"retry-after": "17"})
    with pytest.raises(Unavailable) as caught:
        await client.request("GET", server.url("/a"))
    assert timedelta(seconds=17) == caught.value.retry_after
    assert caught.value.retryable


async def test_patience_repeats_reads_only(server, client):
    """
    A read may be repeated here as often as allowed when the wait is short; a write never is, nor one with a long wait.
    """
    server.routes["/a"] = [
        Reply(status=429, headers={"retry-after": "0"}),
        Reply(status=503, headers={"retry-after": "0"}),
        Reply({"ok": 1}),
    ]
    assert {"ok": 1} == (await client.request("GET", server.url("/a"), patience=2)).json()
    server.routes["/b"] = Reply(status=429, headers={"retry-after": "0"})
    with pytest.raises(RateLimited):
        await client.request("POST", server.url("/b"), patience=5)
    server.routes["/c"] = Reply(status=429, headers={"retry-after": "3600"})
    with pytest.raises(RateLimited):
        await client.request("GET", server.url("/c"), patience=5)
    assert [3, 1, 1] == [len([one for one in server.asked if one.path == path]) for path in ("/a", "/b", "/c")]


async def test_a_slow_service_times_out(server, client):
    """
    However it is slow: before the answer, or in the middle of it.
    """
    server.routes["/a"] = Reply({}, pause=5)
    with pytest.raises(TimedOut, match=r"within 0\.1 s"):
        await client.request("GET", server.url("/a"), timeout=timedelta(seconds=0.1))


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort", b"nonsense\r\n\r\n"])
async def test_a_service_that_breaks_off_may_be_tried_again(server, client, raw):
    """
    A cut connection or no HTTP at all is no crash.
    """
    server.routes["/a"] = Reply(raw=raw)
    with pytest.raises(Unavailable, match="broke off"):
        await client.request("GET", server.url("/a"))


async def test_bodies_that_cannot_be_unpacked(server, client):
    """
    Not gzip, though it says so.
    """
    server.routes["/a"] = Reply(b"plain", headers={"content-encoding": "gzip"})
    with pytest.raises(Refused, match="cannot be unpacked"):
        await client.request("GET", server.url("/a"))


async def test_nobody_there(client):
    """
    A closed port and an unknown name are told apart from our own mistakes.
    """
    with pytest.raises(Unavailable, match="could not be reached"):
        await client.request("GET", "http://127.0.0.1:1/")
    with pytest.raises(Unavailable, match="There is no host"):
        await client.request("GET", "http://no-such-host.invalid/")


@pytest.mark.parametrize(
    "url",
    ["", "shop.example/a", "ftp://a/b", "file:///etc/passwd", "http://", "http://[::", "http://a b/", "javascript:alert(1)"],
)
async def test_addresses_that_are_none(client, url):
    """
    Only web addresses go out.
    """
    with pytest.raises(BadInput) as caught:
        await client.request("GET", url)
    assert "url" == caught.value.field


async def test_headers_are_plain_letters(server, client):
    """
    What a header cannot carry is told, not mangled.
    """
    with pytest.raises(BadInput, match="a header cannot carry"):
        await client.request("GET", server.url("/a"), headers={"x-name": "Zoë"})


@pytest.mark.parametrize("headers", [{"a": "x\r\nhost: evil"}, {"a b": "x"}, {"": "x"}, {"é": "x"}, {"a:": "x"}])
async def test_headers_cannot_be_smuggled(server, client, headers):
    """
    A line break in a value is no second header.
    """
    with pytest.raises(BadInput, match="cannot be sent"):
        await client.request("GET", server.url("/a"), headers=headers)
    assert [] == server.asked


async def test_redirects_are_followed_to_an_end(server, client):
    """
    A few are fine, a circle is not; they can be looked at instead.
    """
    server.routes["/a"] = Reply(status=302, headers={"location": "/b"})
    server.routes["/b"] = Reply({"ok": 1})
    server.routes["/c"] = Reply(status=302, headers={"location": "/c"})
    assert {"ok": 1} == (await client.request("GET", server.url("/a"))).json()
    assert 302 == (await client.request("GET", server.url("/a"), redirects=0)).status_code
    with pytest.raises(Refused, match="round in circles"):
        await client.request("GET", server.url("/c"))
    server.routes["/d"] = Reply(status=302, headers={"location": "http://[::"})
    with pytest.raises((BadInput, Unavailable)):
        await client.request("GET", server.url("/d"))


async def test_an_upload_is_not_sent_twice(server, client, files):
    """
    A stream that went out cannot follow a redirect; a text can.
    """
    server.routes["/a"] = Reply(status=307, headers={"location": "/b"})
    server.routes["/b"] = Reply({})
    file = await files.keep(b"x" * 1000, name="x", media_type="text/plain")
    with pytest.raises(Refused, match="redirects the upload"):
        await client.request("PUT", server.url("/a"), file=file, files=files)
    await client.request("PUT", server.url("/a"), content="text")
    assert b"text" == server.asked[-1].body


async def test_secrets_do_not_follow_to_another_host(server, other, client):
    """
    Authorization, cookies and keys stay behind; on the same host they go along.
    """
    secrets = {"authorization": "Bearer s", "x-api-key": "s", "cookie": "s=1", "accept": "text/plain"}
    other.routes["/x"] = server.routes["/same"] = Reply({})
    server.routes["/a"] = Reply(status=307, headers={"location": other.url("/x")})
    server.routes["/b"] = Reply(status=307, headers={"location": "/same"})
    await client.request("GET", server.url("/a"), headers=secrets)
    await client.request("GET", server.url("/b"), headers=secrets)
    assert {"accept": "text/plain"} == {name: value for name, value in other.asked[0].headers.items() if name in secrets}
    assert "s" == server.asked[-1].headers["x-api-key"]


async def test_writes_carry_an_idempotency_key(server, client):
    """
    Writes do, reads do not, and one that is written by hand stays.
    """
    server.routes["/a"] = Reply({})
    for method, headers in (("POST", {}), ("GET", {}), ("POST", {"Idempotency-Key": "mine"})):
        await client.request(method, server.url("/a"), headers=headers, idempotency_key="k1")
    assert ["k1", None, "mine"] == [asked.headers.get("idempotency-key") for asked in server.asked]


async def test_the_environment_is_not_trusted(server, client, monkeypatch):
    """
    Neither proxies nor .netrc of the machine change where a request goes.
    """
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.routes["/a"] = Reply({"ok": 1})
    async with HttpClient(DESKTOP) as fresh:
        assert {"ok": 1} == (await fresh.request("GET", server.url("/a"))).json()


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
async def test_untrusted_certificates_are_refused(tmp_path):
    """
    A server that cannot prove who it is gets nothing; with its certificate it does.
    """
    certificate, key = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{listener.sockets[0].getsockname()[1]}/"
    async with listener, HttpClient(DESKTOP) as stranger:
        with pytest.raises(Refused, match="could not prove who it is"):
            await stranger.request("GET", url)
        trusting = ssl.create_default_context(cafile=certificate)
        async with HttpClient(DESKTOP, certificates=trusting) as friend:
            assert "ok" == (await friend.request("GET", url)).text


def _certificate(folder):
    """Make a certificate for localhost that signs itself."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return certificate, key


async def test_connections_are_kept_and_closed(server, client):
    """
    Closing twice is harmless, and after it a request opens anew.
    """
    server.routes["/a"] = Reply({"ok": 1})
    await client.request("GET", server.url("/a"))
    await client.close()
    await client.close()
    assert 200 == (await client.request("GET", server.url("/a"))).status_code


async def test_private_addresses_are_closed_to_a_server(server):
    """
    What a person's own machine may call, a team's server may not, unless it is listed.
    """
    server.routes["/a"] = Reply({"ok": 1})
    async with HttpClient(SERVER, limits=Limits()) as strict:
        with pytest.raises(Refused, match="private network"):
            await strict.request("GET", server.url("/a"))
    assert [] == server.asked


def test_answers_read_what_they_are():
    """
    JSON where it is JSON, text in its encoding, links by relation.
    """
    link = '<https://x/?page=2>; rel="next", <https://x/?page=9>; rel=last'
    json = Answer(
        status_code=200, url="https://x/", headers={"content-type": "application/json", "link": link}, content=b'{"a": 1}'
    )
    assert ({"a": 1}, "https://x/?page=2", "https://x/?page=9", None) == (
        json.data(),
        json.link("next"),
        json.link("last"),
        json.link("prev"),
    )
    broken = Answer(status_code=200, url="https://x/", headers={"content-type": "application/json"}, content=b"<html>")
    assert "<html>" == broken.data()
    with pytest.raises(Refused, match="promised JSON"):
        broken.json()
    assert "é" == Answer(status_code=200, url="", headers={"content-type": "text/plain; charset=latin-1"}, content=b"\xe9").text
    assert "a" == Answer(status_code=200, url="", headers={"content-type": "text/plain; charset=klingon"}, content=b"a").text
    assert None is Answer(status_code=204, url="").data()
    assert "https://x.example/a" == shown_url("https://user:pw@x.example/a?token=1#f")
