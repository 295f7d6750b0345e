"""Services that answer with what no service should."""

import pytest

from connectors._runtime.answers import Answer


@pytest.mark.parametrize("charset", ["punycode", "idna", "undefined", "unicode_escape", "hex", "no-such", "utf-8-sig"])
def test_an_answer_in_no_encoding_is_read_as_utf_8(charset: str):
    """
    A service names the encoding of its answer; names that are none, or take minutes for a megabyte, count for nothing.
    """
    answer = Answer(
        status_code=200,
        url="https://shop.example/",
        headers={"content-type": f"text/plain; charset={charset}"},
        content="größe-".encode() + b"d9z" * 300_000,
    )
    assert "größe-d9z" == answer.text[:9]
