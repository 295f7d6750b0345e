"""What code may look like, what it is given, and what may come back."""

from datetime import timedelta

import pytest

from engine.errors import StepError
from engine.steps.code import CodeFailed

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("item['total'] = item['n'] * 2", [{"n": 3, "total": 6}], id="a body without return hands the item on"),
        pytest.param("return {'twice': item['n'] * 2}", [{"twice": 6}], id="a body with return"),
        pytest.param("def main(item):\n    return {'n': item['n'] + 1}", [{"n": 4}], id="a function"),
        pytest.param("def main(item, index):\n    return {'at': index}", [{"at": 0}], id="a function that wants the index"),
        pytest.param(
            "main = lambda item: {'n': 0}\ndef helper(): pass", [{"n": 3}], id="a name that is no function counts not"
        ),
        pytest.param("return [{'a': 1}, {'a': 2}]", [{"a": 1}, {"a": 2}], id="several items of one"),
        pytest.param("if item['n'] > 5:\n    return item", [], id="nothing drops the item"),
        pytest.param("", [{"n": 3}], id="no code at all"),
        pytest.param("# only a comment", [{"n": 3}], id="a comment"),
        pytest.param(
            "def twice(x):\n    return x * 2\nitem['n'] = twice(item['n'])",
            [{"n": 6}],
            id="a helper's return is not the body's",
        ),
        pytest.param(
            'text = """a\n  b"""\nreturn {"text": text}', [{"text": "a\n  b"}], id="texts of several lines stay as they are"
        ),
        pytest.param(
            "import math\nfrom decimal import Decimal as D\nreturn {'x': math.floor(2.5)}",
            [{"x": 2}],
            id="the standard library",
        ),
    ],
)
async def test_forms_of_code(cage, source, expected):
    """
    Code is a function `main` or its body; what it hands back are items.
    """
    assert expected == await cage.items(source, [{"n": 3}])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("return items[::2]", [{"n": 0}, {"n": 2}], id="a body"),
        pytest.param(
            "def main(items):\n    return {'sum': sum(i['n'] for i in items)}", [{"sum": 3}], id="one object is one item"
        ),
        pytest.param(
            "for item in items: item['m'] = 1", [{"n": 0, "m": 1}, {"n": 1, "m": 1}, {"n": 2, "m": 1}], id="no return"
        ),
        pytest.param("return None", [], id="nothing"),
    ],
)
async def test_code_over_the_batch(cage, source, expected):
    """
    Code that runs once sees all items and hands back a list.
    """
    assert expected == await cage.items(source, [{"n": 0}, {"n": 1}, {"n": 2}], per="batch")


async def test_where_items_came_from(cage):
    """
    Per item it is known which item each came from; per batch where the very objects are handed on, and else it is not claimed.
    """
    items = [{"n": n} for n in range(4)]
    assert [1, 0, 2, 0] == (await cage.result("return [{}] * [1, 0, 2, 0][item['n']]", items)).counts
    assert (await cage.result("item['m'] = 1", items)).counts is None
    assert [3, 1] == (await cage.result("return [items[3], items[1]]", items, per="batch")).origins
    assert (await cage.result("return [items[3], {'new': True}]", items, per="batch")).origins is None


async def test_many_items_go_in_parts_and_stay_in_order(cage):
    """
    More items than fit into one frame are the same as few, with the index counted through.
    """
    items = [{"n": n} for n in range(12_345)]
    made = await cage.items("def main(item, index):\n    return {'at': index - item['n'], 'n': item['n']}", items)
    assert [{"at": 0, "n": n} for n in range(12_345)] == made


async def test_one_failure_leaves_the_others_alone(cage):
    """
    Items that fail are told one by one, and the others are there; with `stops_at_failure` the first one ends it.
    """
    items = [{"n": 1}, {"n": 0}, {"n": 2}]
    result = await cage.result("return {'x': 2 / item['n']}", items)
    assert ([{"x": 2.0}, {"x": 1.0}], [1, 0, 1], [1]) == (result.items, result.counts, list(result.failed))
    stopped = await cage.result("return {'x': 2 / item['n']}", items, stops_at_failure=True)
    assert ([{"x": 2.0}], [1]) == (stopped.items, list(stopped.failed))


async def test_inputs(cage):
    """
    Values from elsewhere are found in `inputs`: per item its own, per batch one object.
    """
    made = await cage.items(
        "return {'x': inputs['rate'] * item['n']}", [{"n": 2}, {"n": 3}], inputs=[{"rate": 10}, {"rate": 100}]
    )
    assert [{"x": 20}, {"x": 300}] == made
    assert [{"x": 5}] == await cage.items("return {'x': inputs['rate']}", per="batch", inputs={"rate": 5})


async def test_prints_are_kept_and_bounded(cage):
    """
    What is printed is told line by line, to both streams; what is too much is counted.
    """
    source = "import sys\nprint('one', 2)\nprint('wrong', file=sys.stderr)\nprint('no end', end='')"
    await cage.items(source)
    assert ["one 2", "wrong", "no end"] == cage.prints
    cage.prints.clear()
    await cage.items("for n in range(1000): print('x' * 5000)")
    assert (191, 2000, "… and 810 more lines") == (len(cage.prints), len(cage.prints[0]), cage.prints[-1])


async def test_what_was_printed_before_the_end_is_there(cage):
    """
    Code that breaks its own process has said what it said.
    """
    with pytest.raises(CodeFailed, match="ended its own process, with the code 7"):
        await cage.items("print('so far')\nimport os\nos._exit(7)")
    assert ["so far"] == cage.prints


@pytest.mark.parametrize(
    ("source", "message", "line", "caret"),
    [
        pytest.param(
            "x = 1\ny = item['price'] * 2",
            "Line 2: KeyError: 'price'",
            "y = item['price'] * 2",
            "    ^^^^^^^^^^^^^",
            id="a missing field",
        ),
        pytest.param(
            "def main(item):\n    return helper(0)\n\ndef helper(n):\n    return 1 / n",
            "Line 5: ZeroDivisionError: division by zero",
            "    return 1 / n",
            "           ^^^^^",
            id="in a function of its own",
        ),
        pytest.param(
            "import json\njson.loads('{')",
            "Line 2: JSONDecodeError: ",
            "json.loads('{')",
            "^^^^^^^^^^^^^^^",
            id="inside of a library",
        ),
        pytest.param(
            "größe = 'ä' + 1", "Line 1: TypeError: ", "größe = 'ä' + 1", "        ^^^^^^^", id="letters of several bytes"
        ),
        pytest.param(
            "raise SystemExit", "Line 1: SystemExit: the code ended itself", "raise SystemExit", "^^^^^^^^^^^^^^^^", id="exit"
        ),
    ],
)
async def test_an_error_points_at_its_line(cage, source, message, line, caret):
    """
    What fails is told with the person's own line and what in it failed; nothing of ours is in it.
    """
    with pytest.raises(CodeFailed) as caught:
        await cage.items(source)
    assert caught.value.message.startswith(message)
    assert (line, caret) == (caught.value.where["source"], caught.value.where["caret"])
    assert "engine" not in str(caught.value.as_dict())


async def test_the_way_to_the_error_is_told(cage):
    """
    An error in a function says who called it.
    """
    with pytest.raises(CodeFailed) as caught:
        await cage.items("def helper(n):\n    return 1 / n\nreturn helper(0)")
    assert (2, ["line 3 in main"]) == (caught.value.where["line"], caught.value.where["trail"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("x = = 1", "Line 1: invalid syntax.", id="no Python"),
        pytest.param("if True:\nx = 1", "Line 2: expected an indented block", id="indentation"),
        pytest.param("async def main(item): pass", "Line 1: “main” cannot be async.", id="async"),
        pytest.param("def main(): pass", "Line 1: “main” has to take item", id="no parameter"),
        pytest.param("def main(a, b, c): pass", "Line 1: “main” has to take item", id="too many"),
        pytest.param("class main: pass", "“main” has to take item", id="a class"),
        pytest.param("(" * 5000, "Line 1: too many nested parentheses", id="too deep"),
        pytest.param("x = 1\0", "source code string cannot contain null bytes", id="a zero byte"),
        pytest.param("1 / 0\ndef main(item): pass", "Line 1: ZeroDivisionError", id="fails before main"),
    ],
)
async def test_code_that_cannot_be_called(cage, source, message):
    """
    Code that is none is refused with the line, before any item is touched.
    """
    with pytest.raises(CodeFailed) as caught:
        await cage.items(source)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("__import__('datetime').date(2026, 11, 23)", "2026-11-23", id="a date"),
        pytest.param(
            "__import__('datetime').datetime(2026, 11, 23, 7, tzinfo=__import__('datetime').UTC)",
            "2026-11-23T07:00:00+00:00",
            id="a moment",
        ),
        pytest.param("__import__('datetime').timedelta(minutes=1)", 60.0, id="a duration"),
        pytest.param("__import__('decimal').Decimal('1.10')", "1.10", id="a decimal"),
        pytest.param("(1, [2.5, None], {'a': True})", [1, [2.5, None], {"a": True}], id="nested"),
        pytest.param("__import__('enum').IntEnum('E', 'a b').b", 2, id="an enum"),
        pytest.param("__import__('collections').OrderedDict(a=1)", {"a": 1}, id="a mapping of another class"),
        pytest.param("2**63", 2**63, id="a large number"),
    ],
)
async def test_values_that_become_json(cage, value, expected):
    """
    Dates and decimals become text; whatever is JSON by nature stays what it is.
    """
    assert [{"value": expected}] == await cage.items(f"return {{'value': {value}}}")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        pytest.param("{'a': {1, 2}}", "“a” is a set, which JSON does not have.", id="a set"),
        pytest.param("{'a': [0, b'x']}", "“a[1]” is bytes.", id="bytes"),
        pytest.param("{'a': {'b': object()}}", "“a.b” is an object, which JSON does not have.", id="an object"),
        pytest.param("{'a': float('nan')}", "“a” is nan, which JSON does not have.", id="not a number"),
        pytest.param("{'a': 2**64}", "“a” is a number of 20 digits.", id="too large"),
        pytest.param("{'a': {1: 2}}", "“a” has the key 1, which is an int", id="a key that is no text"),
        pytest.param("{2: 1}", "What was handed back has the key 2", id="a key of the item"),
        pytest.param("5", "an item or a list of items; this is a number.", id="a number"),
        pytest.param("[1]", "The list has a number in it", id="a list of numbers"),
        pytest.param("{'a': '\\ud800'}", "cannot be written as JSON", id="half a letter"),
    ],
)
async def test_values_that_are_no_json(cage, returned, message):
    """
    What JSON cannot hold is named with its place and what to do.
    """
    with pytest.raises(CodeFailed) as caught:
        await cage.items(f"return {returned}")
    assert message in caught.value.message


async def test_a_circle_is_no_json(cage):
    """
    Data that holds itself has an end here.
    """
    with pytest.raises(CodeFailed, match="nested more than 200 levels"):
        await cage.items("item['self'] = item\nreturn item")


async def test_files(cage):
    """
    Code reads the files of its items as bytes, text or a path, hands them on, and makes new ones.
    """
    file = await cage.files.keep(b"a;b\n" * 500_000, name="list.csv", media_type="text/csv")
    source = """
data = item['file'].read()
with open(item['file'].path) as lines:
    count = sum(1 for line in lines)
made = File('upper.csv', item['file'].text().upper())
return {'size': len(data), 'count': count, 'name': item['file'].name, 'old': item['file'], 'new': [made]}
"""
    (item,) = await cage.items(source, [{"file": file}])
    assert (2_000_000, 500_000, "list.csv", file) == (item["size"], item["count"], item["name"], item["old"])
    new = item["new"][0]
    assert ("upper.csv", "text/csv", 2_000_000) == (new.name, new.media_type, new.size)
    assert b"A;B\n" * 500_000 == cage.files.read_bytes(new.hash)


async def test_files_of_many_parts(cage):
    """
    Each item gets its own file back, also where the items went in parts.
    """
    items = [{"n": n} for n in range(5_002)]
    made = await cage.items("if item['n'] % 5000 == 1:\n    item['file'] = File(f\"{item['n']}.txt\", str(item['n']))", items)
    assert ["1.txt", "5001.txt"] == [made[n]["file"].name for n in (1, 5001)]
    assert b"5001" == cage.files.read_bytes(made[5001]["file"].hash)


async def test_a_file_cannot_be_forged(cage):
    """
    Data that looks like a handle stays data, and code cannot name a file it was not given.
    """
    file = await cage.files.keep(b"secret", name="a.txt", media_type="text/plain")
    look_alike = {"$file": file.hash, "name": "a.txt", "type": "text/plain", "size": 6}
    assert [look_alike] == await cage.items("return item", [look_alike])
    source = """
import sys
frame = sys._getframe()
while not hasattr(frame.f_locals.get('self'), '_plain'):
    frame = frame.f_back
mark = frame.f_locals['self']._plain
mark.has_files = True
return {'x': {mark.mark: 0}}
"""
    with pytest.raises(StepError, match="no such file"):
        await cage.items(source, [{"a": 1}])


async def test_the_folder_is_empty_at_each_call(cage):
    """
    What a call leaves in its temp folder is gone at the next one, which has the same process.
    """
    source = """
import os
found = os.listdir()
open('left.txt', 'w').write('x')
os.makedirs('a/b')
return {'found': found, 'pid': os.getpid()}
"""
    first, second = [await cage.items(source) for _ in range(2)]
    assert ([], first) == (first[0]["found"], second)


async def test_names_do_not_stay(cage):
    """
    Each call begins with names of its own.
    """
    source = "global seen\nseen = globals().get('seen', 0) + 1\nreturn {'seen': seen}"
    assert [[{"seen": 1}]] * 2 == [await cage.items(source) for _ in range(2)]


async def test_treadle_itself_cannot_be_imported(cage):
    """
    Code sees the standard library, not our modules nor what they lean on.
    """
    for name in ("engine", "msgspec", "nicegui", "sqlalchemy"):
        with pytest.raises(CodeFailed, match=f"No module named '{name}'"):
            await cage.items(f"import {name}")


async def test_a_limit_of_time_for_all_items(cage):
    """
    The limit holds for all items together, and the error says which line was at work.
    """
    with pytest.raises(StepError) as caught:
        await cage.items("import time\ntime.sleep(0.3)", [{}] * 10, limit=timedelta(seconds=1))
    assert ("timed_out", 2) == (caught.value.code, caught.value.where["line"])
