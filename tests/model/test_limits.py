"""The limits a workflow sets itself, as they are written."""

from datetime import timedelta

import pytest

from engine.model.codec import parse_document, read_document, write_document
from engine.model.limits import Budget, Concurrency, Rate, format_size, parse_rate, parse_size, say_size
from engine.model.workflow import Settings

LIMITED = """\
treadle: 1
name: Orders
settings:
  concurrency:
    limit: 2
    key: "{{ item.customer }}"
    total: 20
    when_full: cancel_oldest
  priority: 5
  budget:
    items: 1000000
    bytes: 2 GB
    minutes: 30
    calls: 500
  rates:
    - {host: api.example.com, rate: 10 per second, burst: 3}
    - {connection: shop, rate: 100 per minute}
"""


def test_all_limits_are_read_and_written():
    """
    Everything that can be limited stands under `settings`, and what was read is what is written.
    """
    document = read_document(LIMITED)
    expected = Settings(
        concurrency=Concurrency(limit=2, key="{{ item.customer }}", total=20, when_full="cancel_oldest"),
        priority=5,
        budget=Budget(items=1_000_000, bytes=2_000_000_000, minutes=30, calls=500),
        rates=(
            Rate(count=10, per=timedelta(seconds=1), host="api.example.com", burst=3),
            Rate(count=100, per=timedelta(minutes=1), connection="shop"),
        ),
    )
    assert expected == document.settings
    assert document == read_document(write_document(document))


def test_a_plain_number_stays_one():
    """
    `concurrency: 4` and `concurrency: {limit: 4}` are the same, and written as the number.
    """
    text = "treadle: 1\nname: A\nsettings: {concurrency: {limit: 4}}\n"
    assert Settings(concurrency=4) == read_document(text).settings
    assert "concurrency: 4" in write_document(read_document(text))
    assert Concurrency(limit=4) == read_document(text).settings.limits


@pytest.mark.parametrize(
    ("written", "said"),
    [
        pytest.param("concurrency: {key: a}", "how many runs", id="a limit without a number"),
        pytest.param("concurrency: {limit: 2, total: 9}", "“total”", id="a total without a key"),
        pytest.param("concurrency: {limit: 2, when_full: explode}", "“when_full”", id="an unknown way out"),
        pytest.param("concurrency: {limit: 2, kee: a}", "“kee” means nothing", id="an unknown word"),
        pytest.param("priority: 1000", "“priority” is a number from -100 to 100", id="a priority out of bounds"),
        pytest.param("budget: {bytes: 5 apples}", "is no size", id="a size that is none"),
        pytest.param("budget: {bytes: 0}", "of at least 1 bytes", id="no bytes at all"),
        pytest.param("rates: [{host: a, rate: often}]", "is no rate", id="a rate that is none"),
        pytest.param("rates: [{rate: 1 per second}]", "one of them", id="a rate for nothing"),
        pytest.param("rates: [{host: a, connection: b, rate: 1 per second}]", "one of them", id="a rate for two things"),
    ],
)
def test_mistakes_are_named(written, said):
    """
    What makes no sense is a problem in words.
    """
    problems = parse_document(f"treadle: 1\nname: A\nsettings: {{{written}}}\n").problems
    assert any(said in problem.text for problem in problems), problems


def test_sizes_and_rates():
    """
    Sizes count in powers of ten; rates may be short.
    """
    assert [1500, 500_000_000, 2_500_000, 7] == [parse_size(text) for text in ("1.5 kB", "500MB", "2.5 MB", 7)]
    assert ["2 GB", "1500 kB", 1001] == [format_size(size) for size in (2_000_000_000, 1_500_000, 1001)]
    assert ["1.5 MB", "2 GB", "12 bytes"] == [say_size(size) for size in (1_500_000, 2_000_000_000, 12)]
    assert (10, timedelta(seconds=1)) == parse_rate("10/s") == parse_rate("10 per second")
