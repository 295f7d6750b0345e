"""What is secret in a request does not stand in the error that says why it could not be sent."""

from ipaddress import ip_address

import pytest

from connectors._runtime.guard import DESKTOP
from connectors._runtime.outgoing import address_of, headers_of
from engine.errors import BadInput

SECRET = "s3cret-0123456789"


@pytest.mark.parametrize("value", [f"Bearer {SECRET}\x00", f"Bearer {SECRET}\x01", f"{SECRET}\x7f", f"{SECRET}\r\nx: 1"])
def test_a_header_that_cannot_be_sent(value: str):
    """
    Control characters are refused here, by the header's name, before the HTTP library quotes its value.
    """
    with pytest.raises(BadInput) as caught:
        headers_of({"Authorization": value})
    assert ("Authorization" in caught.value.message, SECRET in str(caught.value.as_dict())) == (True, False)


def test_space_around_a_header():
    """
    A key that was pasted with a space or tab around it is sent without, as HTTP has it (RFC 9110 §5.5).
    """
    assert {"authorization": f"Bearer {SECRET}", "x-n": "5"} == headers_of({"Authorization": f" Bearer {SECRET}\t", "X-N": 5})


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "a\x00b", "ä", "a\x7f", "a(b)"])
def test_what_is_no_name_of_a_header(name: str):
    """
    A name is a token.
    """
    with pytest.raises(BadInput):
        headers_of({name: "x"})


@pytest.mark.parametrize(
    "url",
    [
        f"htp://user:{SECRET}@shop.example/x",
        f"http://user:{SECRET}@[::1",
        f"https://user:{SECRET}@",
        f"htp://shop.example/x?token={SECRET}",
        f"https://user:{SECRET}@shop.example:99999999/",
        f"//user:{SECRET}@shop.example/",
    ],
)
def test_an_address_that_cannot_be_called(url: str):
    """
    The error shows the address without user, password and query.
    """
    with pytest.raises(BadInput) as caught:
        address_of(url, None)
    assert SECRET not in str(caught.value.as_dict())


@pytest.mark.parametrize("address", ["fd20:ce::254", "fd00:ec2::254", "192.0.0.192", "169.254.170.2", "::ffff:169.254.169.254"])
def test_where_machines_tell_their_secrets(address: str):
    """
    The places where clouds hand a machine its keys are closed on a person's own machine too.
    """
    assert DESKTOP.refusal("host", ip_address(address)) is not None
