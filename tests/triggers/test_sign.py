"""Signed webhooks, with the examples that the services publish."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import BadInput, NotAllowed
from engine.triggers.sign import parse_sign

NOW = datetime.fromtimestamp(1614265330, UTC)
STANDARD = {"style": "standard", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
STANDARD_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo=",
}
STANDARD_BODY = b'{"test": 2432232314}'


def test_the_example_of_standard_webhooks():
    """
    The published example of Standard Webhooks is accepted, and its id comes back as the key.
    """
    sign = parse_sign(STANDARD)
    assert sign is not None
    assert "msg_p5jXN8AQM9LWM0D4loKWxJek" == sign.verify(STANDARD_HEADERS, STANDARD_BODY, NOW)


@pytest.mark.parametrize(
    ("headers", "body", "now"),
    [
        pytest.param(STANDARD_HEADERS, STANDARD_BODY + b" ", NOW, id="another body"),
        pytest.param(STANDARD_HEADERS | {"webhook-id": "msg_2"}, STANDARD_BODY, NOW, id="another id"),
        pytest.param(STANDARD_HEADERS | {"webhook-timestamp": "1614265331"}, STANDARD_BODY, NOW, id="another time"),
        pytest.param(STANDARD_HEADERS | {"webhook-timestamp": "²"}, STANDARD_BODY, NOW, id="no time"),
        pytest.param(STANDARD_HEADERS | {"webhook-signature": "v2,abc"}, STANDARD_BODY, NOW, id="another version"),
        pytest.param(STANDARD_HEADERS | {"webhook-signature": "v1,é"}, STANDARD_BODY, NOW, id="odd letters"),
        pytest.param(STANDARD_HEADERS, STANDARD_BODY, NOW + timedelta(minutes=6), id="too old"),
        pytest.param(STANDARD_HEADERS, STANDARD_BODY, NOW - timedelta(minutes=6), id="from the future"),
        pytest.param({}, STANDARD_BODY, NOW, id="unsigned"),
    ],
)
def test_what_is_refused(headers, body, now):
    """
    Anything that was changed, is too old, or is not signed at all is refused.
    """
    sign = parse_sign(STANDARD)
    assert sign is not None
    with pytest.raises(NotAllowed):
        sign.verify(headers, body, now)


def test_the_example_of_github():
    """
    GitHub's published example is accepted; the delivery's id is the key.
    """
    sign = parse_sign({"style": "github", "secret": "It's a Secret to Everybody"})
    assert sign is not None
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": signature, "x-github-delivery": "72d3162e"}
    assert "72d3162e" == sign.verify(headers, b"Hello, World!", NOW)


def test_stripe_slack_and_plain_hmac():
    """
    Each style signs what its service signs.
    """
    secret, body, stamp = "correct horse", b'{"a":1}', "1614265330"

    def digest(signed: bytes) -> str:
        return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()

    stripe = parse_sign({"style": "stripe", "secret": secret})
    slack = parse_sign({"style": "slack", "secret": secret})
    plain = parse_sign({"style": "hmac", "secret": ["an older one", secret], "header": "X-Shop", "prefix": "sha256:"})
    assert stripe is not None
    assert slack is not None
    assert plain is not None
    stripe.verify({"stripe-signature": f"t={stamp},v0=00,v1={digest(b'1614265330.' + body)}"}, body, NOW)
    slack.verify({"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest(b'v0:1614265330:' + body)}"}, body, NOW)
    plain.verify({"x-shop": f"sha256:{digest(body).upper()}"}, body, NOW)
    with pytest.raises(NotAllowed):
        plain.verify({"x-shop": digest(body)}, body, NOW)
    coded = parse_sign({"style": "hmac", "secret": secret, "encoding": "base64"})
    assert coded is not None
    coded.verify({"x-signature": base64.b64encode(bytes.fromhex(digest(body))).decode()}, body, NOW)


def test_secrets_come_from_the_environment_too():
    """
    A secret that is not there keeps the webhook off; one that is there never shows.
    """
    with pytest.raises(BadInput, match="SHOP"):
        parse_sign({"style": "hmac", "secret_env": "SHOP"}, {})
    sign = parse_sign({"style": "hmac", "secret_env": "SHOP"}, {"SHOP": "correct-horse older-horse"})
    assert sign is not None
    assert (2, False) == (len(sign.secrets), "horse" in repr(sign))


@pytest.mark.parametrize("value", ["yes", {"style": "md5"}, {"style": "hmac"}, {"secret": "!!!!!!!!!"}, {"key": "12345678"}])
def test_what_cannot_be(value):
    """
    A way of signing that makes no sense is refused at its field.
    """
    with pytest.raises(BadInput) as caught:
        parse_sign(value)
    assert "sign" == caught.value.field
