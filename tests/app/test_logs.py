"""What log lines look like, and what never stands in them."""

import json
import logging

import pytest

from app.logs import JsonLines, Lines, redact


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("token trdl_CANARYcanary123", id="our own token"),
        pytest.param("Authorization: Bearer CANARYcanary123", id="bearer"),
        pytest.param("Authorization: Basic Q0FOQVJZY2FuYXJ5", id="basic"),
        pytest.param("postgresql://me:CANARYcanary123@db.example/x", id="password in a URL"),
        pytest.param("GET /x?a=1&token=CANARYcanary123&b=2", id="token in a query"),
        pytest.param("GET /x?api_key=CANARYcanary123", id="key in a query"),
        pytest.param("GET /?launch=CANARYcanary123", id="launch token"),
        pytest.param("eyJCANARYcanary.eyJzdWIiOiIxMjM0In0.abc", id="JWT"),
    ],
)
def test_secrets_are_blotted_out(text):
    """
    What has the shape of a secret never reaches a line.
    """
    assert "CANARY" not in redact(text)
    assert "Q0FOQVJZ" not in redact(text)


def test_ordinary_text_stays():
    """
    A line without secrets is left as it is.
    """
    assert "run run_1 took 41 ms at https://shop.example/orders?page=2" == redact(
        "run run_1 took 41 ms at https://shop.example/orders?page=2"
    )


def test_facts_stand_behind_the_message():
    """
    A constant message, then what was given as extra.
    """
    record = logging.makeLogRecord({"name": "engine.run", "levelname": "INFO", "msg": "step finished", "took_ms": 41})
    assert Lines().format(record).endswith("engine.run: step finished took_ms=41")


def test_json_lines_are_json_even_with_a_traceback():
    """
    A machine can read every line, whatever went wrong.
    """
    try:
        raise ValueError("postgresql://me:CANARYcanary123@db/x")
    except ValueError:
        import sys

        record = logging.makeLogRecord({"name": "x", "levelname": "ERROR", "msg": "failed", "exc_info": sys.exc_info()})
    line = json.loads(JsonLines().format(record))
    assert ("failed", "error") == (line["message"], line["level"])
    assert "CANARY" not in line["exception"]
