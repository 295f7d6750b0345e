"""API tokens: the secret is shown once, the store has a hash, and every end is an end."""

import hashlib
from datetime import timedelta

import pytest

from engine.errors import BadRequest, NotFound

pytestmark = pytest.mark.anyio


async def test_the_secret_is_shown_once_and_kept_as_a_hash(treadle, studio):
    """
    What is kept cannot be turned back into the secret, and every secret is another one.
    """
    token, secret = await studio.tokens.create("nightly import", ("read", "write", "read"))
    treadle.clock.advance(timedelta(seconds=1))
    _, other = await studio.tokens.create("another")
    assert secret.startswith("trdl_")
    assert len(secret) > 40
    assert secret != other
    (kept, _) = await studio.tokens.list_all()
    assert (token, hashlib.sha256(secret.encode()).hexdigest(), ("read", "write"), None) == (
        kept,
        kept.hash,
        kept.scopes,
        kept.expires_at,
    )
    assert secret not in repr(kept)


async def test_a_secret_tells_who_it_is(studio):
    """
    The actor has the token's name and scopes; an unknown secret is nobody.
    """
    _, secret = await studio.tokens.create("reader", ("read",))
    actor = await studio.tokens.find_actor(secret)
    assert ("reader", {"read"}) == (actor.name, actor.scopes)
    for wrong in ("", "trdl_", secret[:-1], secret + "x", secret.upper()):
        assert await studio.tokens.find_actor(wrong) is None


async def test_expiry(treadle, studio):
    """
    A token is good until its last moment and not in it.
    """
    token, secret = await studio.tokens.create("short", expires_in=timedelta(hours=1))
    assert treadle.clock.now() + timedelta(hours=1) == token.expires_at
    treadle.clock.advance(timedelta(minutes=59, seconds=59))
    assert await studio.tokens.find_actor(secret)
    treadle.clock.advance(timedelta(seconds=1))
    assert await studio.tokens.find_actor(secret) is None


async def test_revoking_ends_a_token_at_once(treadle, studio):
    """
    Revoked is revoked, twice keeps the first time, and it stays in the list; an unknown one is not found.
    """
    token, secret = await studio.tokens.create("gone")
    await studio.tokens.revoke(token.id)
    ended = treadle.clock.now()
    assert await studio.tokens.find_actor(secret) is None
    treadle.clock.advance(timedelta(hours=1))
    await studio.tokens.revoke(token.id)
    assert [ended] == [kept.revoked_at for kept in await studio.tokens.list_all()]
    with pytest.raises(NotFound):
        await studio.tokens.revoke("tok_none")


async def test_use_is_noted_now_and_then(treadle, studio):
    """
    The last use is known to five minutes, without a write for every call.
    """
    _, secret = await studio.tokens.create("busy")
    begin = treadle.clock.now()

    async def used():
        await studio.tokens.find_actor(secret)
        return (await studio.tokens.list_all())[0].last_used_at

    assert begin == await used()
    treadle.clock.advance(timedelta(minutes=5))
    assert begin == await used()
    treadle.clock.advance(timedelta(seconds=1))
    assert treadle.clock.now() == await used()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(("  ",), "needs a name", id="no name"),
        pytest.param(("a", ("read", "fly")), "no scope “fly”", id="an unknown scope"),
        pytest.param(("a", ("read",), timedelta(0)), "live for a while", id="over before it begins"),
    ],
)
async def test_what_is_no_token(studio, arguments, sentence):
    """
    Refused with a sentence, and nothing is kept.
    """
    with pytest.raises(BadRequest, match=sentence):
        await studio.tokens.create(*arguments)
    assert [] == await studio.tokens.list_all()
