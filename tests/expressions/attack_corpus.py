# ruff: noqa: E501 - payloads stand as they are
"""
Payloads that try to reach Python, to burn time or memory, or to confuse the reader; each must end in a clean error or
a harmless value.

Run as a program it tries them all in this one process and prints what each cost, as JSON lines: its kind of end, processor
seconds, and by how many MB the peak of resident memory rose.
"""

import json
import sys
import time

DUNDERS = (
    "__class__", "__bases__", "__mro__", "__subclasses__", "__globals__", "__builtins__", "__import__", "__init__", "__dict__",
    "__code__", "__getattribute__", "__reduce__", "__reduce_ex__", "__module__", "__doc__", "__call__", "__self__", "__func__",
    "__closure__", "__wrapped__", "__loader__", "__spec__", "__file__", "__name__", "__format__", "__getitem__", "__iter__",
    "gi_frame", "f_globals", "f_back", "cr_frame", "tb_frame", "func_globals", "mro", "constructor", "prototype", "__proto__",
)  # fmt: skip

ATTRIBUTES = (
    [f"item.{name}" for name in DUNDERS]
    + [f'"".{name}' for name in DUNDERS]
    + [f"[].{name}()" for name in DUNDERS[:20]]
    + [f'item["{name}"]' for name in DUNDERS[:12]]
    + [f'get(item, "{name}.{name}")' for name in DUNDERS[:8]]
    + [
        "item.text.__class__.__mro__[1].__subclasses__()",
        "().__class__.__base__.__subclasses__()",
        "{}.constructor.constructor('return process')()",
        "[].map.constructor('x')()",
        'item["__cla" + "ss__"]["__base__"]',
        "(x => x).__globals__",
        "item.list.map(x => x.__class__.__name__)",
        "nodes.__class__.__init__.__globals__",
        'nodes["__class__"]',
        "nodes.get_node.__globals__",
        "nodes.get_node('a')",
        "run.__class__",
        "file.__class__.__init__",
        "file.hash.__class__",
        "file.describe()",
        "file.__treadle_opaque__",
        "lazy.__class__",
        "lazy.lookup('x')",
        "lazy.__dict__",
        "{...lazy}",
        "[lazy]",
        "lazy",
        "text(lazy)",
        "json(lazy)",
        "json([lazy])",
        'text(file) + ""',
        "lazy == lazy",
        "keys(lazy)",
        "sort([lazy, lazy])",
        "unique([lazy])",
        "date(item).__class__",
        "now().__class__",
        "now().tzinfo",
        "today().replace(1)",
        "days(1).__reduce__()",
        'decimal("1").as_tuple()',
        'decimal("1").__class__',
        "import os",
        '__import__("os").system("id")',
        'eval("1")',
        'exec("1")',
        'open("/etc/passwd")',
        "globals()",
        "locals()",
        "vars()",
        "getattr(item, 'x')",
        "setattr(item, 'x', 1)",
        "type(1)(2)",
        "lambda: 1",
        "print(1)",
        "$meter",
        "$scope",
        "$1",
        "item.$meter",
        "this.constructor",
        "process.env",
        "require('fs')",
        "item = {}",
        "item.x := 1",
        "delete item.x",
        "item.clear()",
        "item.list.append(1).__class__",
        "item.list.pop()",
        "item.text.encode()",
        "function(){}()",
        "() => 1",
        "(x => x)(1)",
        "map([1], upper)",
        "map([1], null)",
        "if(x => 1, 2, 3)",
        "[x => 1]",
        "{a: x => 1}",
        "item ?? (x => 1)",
        "item.list.map(x => y => 1)",
        "item.list.map((a, b, c, d) => 1)",
        "item.list.map(item => nodes)",
    ]
)
FORMATS = [
    '"{0.__class__}".format(1)',
    '"{}" % 5',
    '"%1000000000d" % 5',
    '"%s%s%s" % item',
    'f"{item}"',
    "`${item}`",
    '"{{7*7}}"',
    '"${7*7}"',
    '"{item.__class__}"',
    'replace("{0}", "{0}", "{0.__class__}")',
    'format_date(today(), "%1000000000Y")',
    'format_date(today(), "y" )',
    'format_date(today(), "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy")',
    f'format_date(today(), "{"d " * 2000}")',
    'format_date(today(), "\'")',
    'format_date(today(), "{0.__class__}")',
    'format_date(today(), "%c%n")',
    'parse_date("1", "(a+)+$")',
    'parse_date("a", "d".repeat(300))',
    'parse_date(repeat("1", 1000000), "d")',
    "format_number(1e300, 30)",
    "format_number(1, 1000000000)",
    'format_number(1, 2, repeat("x", 1000))',
    "fixed(1, 1000000000)",
    'fixed("1e300", 2)',
    "round(1.5, 1000000000)",
    "round(1.5, -1000000000)",
    'replace_pattern("a", "a", "\\\\g<0>")',
    'replace_pattern("a", "a", "$9")',
    'replace_pattern("a", "(a)", "$1$1$$$x")',
    'url_decode("%ff%fe%zz")',
    'html_escape("<".repeat(100))',
    'parse_json("{\\"__class__\\": 1}").__class__',
    'text("{0.__class__}".upper())',
    'pad_start("{}", 5, "%s")',
]
TIME = [
    "range(1000000).map(x => x)",
    "range(1000).map(a => range(1000).map(b => range(1000)))",
    "range(1000).map(a => range(1000).map(b => range(1000).map(c => 1)))",
    "range(1000).map(a => range(1000).filter(b => range(1000).any(c => c == b)))",
    "range(10000).map(a => sum(range(10000)))",
    "range(10000).map(a => item.big.upper())",
    "range(10000).map(a => sha256(item.big))",
    "range(10000).map(a => item.big == item.big2)",
    "range(10000).map(a => item.big < item.big2)",
    "range(10000).map(a => item.big.contains('zz'))",
    "range(10000).map(a => 'zz' in item.big)",
    "range(10000).map(a => item.big.split(''))",
    "range(10000).map(a => item.big.length)",
    "range(100000).map(a => item.big[5:900000])",
    "range(10000).map(a => item.list == item.list2)",
    "range(10000).map(a => 99999999 in item.list)",
    "range(10000).map(a => item.list.sort())",
    "range(10000).map(a => item.list.unique())",
    "range(10000).map(a => json(item.list))",
    "range(10000).map(a => item.list.reverse())",
    "range(10000).map(a => item.list[1:])",
    "range(10000).map(a => [...item.list])",
    "range(10000).map(a => {...item.wide})",
    "range(10000).map(a => item.list + item.list)",
    "range(10000).map(a => merge(item.wide, item.wide))",
    "range(10000).map(a => item.wide == item.wide2)",
    "range(10000).map(a => keys(item.wide))",
    "range(10000).map(a => slug(item.big))",
    "range(10000).map(a => remove_accents(item.umlauts))",
    "range(10000).map(a => words(item.big))",
    "range(10000).map(a => title(item.big))",
    "range(10000).map(a => item.big.index_of('zzz'))",
    "range(10000).map(a => item.big.replace('a', 'b'))",
    "range(10000).map(a => md5(item.big))",
    "range(10000).map(a => base64(item.big))",
    "range(10000).map(a => url_encode(item.big))",
    "range(10000).map(a => hmac(item.big, item.big))",
    "range(10000).map(a => uuid_of(item.big))",
    "range(10000).map(a => number(item.big))",
    "range(10000).map(a => date(item.big))",
    "range(10000).map(a => duration(item.big))",
    "range(10000).map(a => trim(item.blanks))",
    "range(10000).map(a => is_empty(item.blanks))",
    "range(10000).map(a => starts_with(item.big, item.big2))",
    "range(10000).map(a => item.big.reverse())",
    "range(10000).map(a => item.big.left(900000))",
    "range(10000).map(a => before(item.big, 'zz'))",
    "range(10000).map(a => after(item.big, 'zz'))",
    "range(10000).map(a => truncate(item.big, 900000))",
    "range(10000).map(a => lower(item.big) ?? upper(item.big))",
    "range(10000).map(a => item.list.filter(x => x > 1))",
    "range(10000).map(a => item.list.join(''))",
    "range(10000).map(a => min(item.list))",
    "range(10000).map(a => item.list.median())",
    "range(10000).map(a => bool(item.big))",
    "range(10000).map(a => kind(item.list))",
    "range(10000).map(a => text_or_null(item.blanks))",
    "range(5000).reduce((a, x) => a * 3, 1)",
    "range(5000).reduce((a, x) => pow(a + 2, 3), 1)",
    "range(100000).reduce((a, x) => a + [x], [])",
    "range(100000).reduce((a, x) => {...a, [text(x)]: x}, {})",
    "range(100000).reduce((a, x) => set(a, text(x), x), {})",
    "range(100000).reduce((a, x) => append(a, x), [])",
    "range(100000).reduce((a, x) => [a], [])",
    "range(100000).reduce((a, x) => {a: a}, {}) == 5",
    "range(90).reduce((a, x) => [a, a], []) == range(90).reduce((a, x) => [a, a], [])",
    "json(range(90).reduce((a, x) => [a, a], []))",
    "flatten(range(90).reduce((a, x) => [a, a], []))",
    "unique([range(60).reduce((a, x) => [a, a], [])])",
    "range(60).reduce((a, x) => [a, a], [])",
    "text(range(30).reduce((a, x) => {a: a, b: a}, {}))",
    "range(60).reduce((a, x) => [a, a], []) in [range(60).reduce((a, x) => [a, a], [])]",
    "pow(9, pow(9, 9))",
    "pow(2, 100000000)",
    "pow(1.0000001, 1e300)",
    "pow(decimal(2), 1000)",
    "pow(decimal('1.1'), -1000)",
    "9 * 9e299 * 9e299",
    "div(1e300, 1e-300)",
    "mod(decimal('1e300'), decimal('1e-300'))",
    "decimal('1e300') % decimal('0.0000000001')",
    "exp(1e300)",
    "sqrt(decimal('1e300'))",
    "split_amount(decimal('1e300'), 10000)",
    "split_amount(1, 1000000000)",
    "add_workdays(today(), 1000000000)",
    "add_workdays(today(), 999999)",
    "add_months(today(), 1000000000000)",
    "add_years(today(), -1000000000)",
    "today() + days(1e300)",
    "today() + days(1000000000)",
    "seconds(1e300)",
    "days(1) * 1e300",
    "from_timestamp(1e300)",
    "from_timestamp(-1e18)",
    "range(0, 1000000000, 1)",
    "range(-1e15, 1e15)",
    "range(1e300)",
    "item.list.chunk(1).chunk(1).chunk(1).chunk(1)",
    "now('../../etc/passwd')",
    "now('" + "A/" * 500 + "')",
    "in_zone(now(), '/etc/localtime')",
    "in_zone(now(), 'Europe/../Europe/Vienna')",
    "range(20000).map(i => in_zone(now(), 'Zone/' + i))",
    "range(3000).map(i => try(in_zone(now(), 'Zone/X' + i), 0))",
    "range(100000).map(i => try(fail('x'), 1))",
    "try(range(1000000).map(x => range(1000)), 1)",
    "range(1000000).any(x => false)",
    "range(1000000).find(x => range(100).all(y => true))",
    "range(200000).map(i => " + "+".join(["i"] * 150) + ")",
    "range(2000).map(i => [" + ",".join(["i"] * 3000) + "])",
    "range(5000).map(i => " + "'a' + i + " * 100 + "'b')",
    "range(300000).sort_by(x => -x)",
    "range(100000).map(x => 'k' + x).group_by(k => k)",
    "range(300000).unique()",
    "range(300).flat_map(a => range(300).map(b => {a: a, b: b}))",
    "intersect(range(200000), range(200000))",
    "zip(range(200000), range(200000), range(200000))",
    "item.deep == item.deep2",
    "json(item.deep)",
    "item.deeper == item.deeper2",
    "json(item.deeper)",
    "[item.deeper]",
    "unique([item.deeper, item.deeper2])",
]
MEMORY = [
    '"a" * 1000000000',
    'repeat("a", 1000000000)',
    'repeat("a", 9999999)',
    'repeat("", 99999999999999999999)',
    "take([1], item.huge)",
    'repeat(repeat("a", 100000), 100000)',
    'repeat("😀", 9000000)',
    'pad_start("a", 1000000000)',
    'pad_end("a", 9007199254740991, "xy")',
    'pad_start("a", 9000000, "😀")',
    'range(40).reduce((a, x) => a + a, "x")',
    "range(40).reduce((a, x) => a + a, [1])",
    'range(40).reduce((a, x) => [a, a].join(","), "x")',
    'range(40).reduce((a, x) => replace(a, "x", "xx"), "x")',
    'range(40).reduce((a, x) => replace_pattern(a, "x", "xx"), "x")',
    'range(40).reduce((a, x) => "" + a + a, "x")',
    'range(40).reduce((a, x) => json(a), "\\"")',
    'range(40).reduce((a, x) => url_encode(a), "%")',
    'range(40).reduce((a, x) => html_escape(a), "&")',
    'range(40).reduce((a, x) => base64(a), "aaaaaaa")',
    'range(40).reduce((a, x) => hex(a), "a")',
    "range(40).reduce((a, x) => a.flat_map(y => [y, y]), [1])",
    "range(40).reduce((a, x) => flatten([a, a]), [1])",
    "range(40).reduce((a, x) => [...a, ...a], [1])",
    "range(40).reduce((a, x) => zip(a, a), [1])",
    "range(40).reduce((a, x) => append(a, a), [1])",
    "range(40).reduce((a, x) => text([a, a]), [1])",
    "range(100000000)",
    "range(1000000)",
    "range(900000).map(x => [x])",
    "range(100000).map(x => {a: x, b: x, c: x, d: x})",
    "range(100000).map(x => 'text number ' + x)",
    "range(200000).map(x => range(100))",
    "range(1000).map(x => item.big + x)",
    "range(1000).map(x => upper(item.big))",
    "range(1000).map(x => item.big.split(''))",
    "range(1000).map(x => item.list.map(y => y))",
    "range(1000).map(x => item)",
    "range(500000).map(x => item)",
    "range(1000).map(x => range(1000).map(y => item))",
    "[item.big, item.big, item.big].join(item.big)",
    "item.list.join(item.big)",
    'replace(item.big, "a", item.big)',
    'replace(item.big, "", "x")',
    'replace_pattern(item.big, "a", item.big.left(10000))',
    'replace_pattern(item.big, "", "xxxxxxxxxxxx")',
    'split(item.big, "a")',
    'split(item.big, "")',
    "split(item.blanks)",
    "lines(item.newlines)",
    "words(item.big)",
    "title(item.blanks)",
    "json(range(100).map(x => item.big))",
    "parse_json('[' + repeat('[],', 3000000) + '1]')",
    "parse_json('[' + repeat('{},', 3000000) + '1]')",
    "parse_json(repeat('[', 1000000))",
    "parse_json(repeat('[', 900) + repeat(']', 900))",
    "parse_json('[' + repeat('1,', 3000000) + '1]')",
    "parse_json('1' + repeat('0', 5000))",
    "parse_json('1e999')",
    "parse_json('[1e400, NaN]')",
    'remove_accents(repeat("\ufdfa", 200000))',
    'slug(repeat("\ufdfa", 200000))',
    'upper(repeat("\u0390", 3000000))',
    "chunk(range(500000), 1)",
    "zip(range(100000), range(100000), range(100000), range(100000))",
    'from_entries(range(200000).map(i => ["k" + i, i]))',
    "entries(from_entries(range(50000).map(i => ['k' + i, i])))",
    "index_by(range(300000), x => x)",
    "count_by(range(300000), x => x)",
    "group_by(range(300000), x => x)",
    "map_values(item.wide, v => item.list.map(x => [x]))",
    "extract_all(item.big, '.')",
    "extract_all(item.big, '')",
    "split_pattern(item.big, 'a')",
    "query({a: item.list})",
    'url_decode(repeat("%41", 3000000))',
    'url_encode(repeat("ü", 3000000))',
    'base64_decode(repeat("QUFB", 2400000))',
    'hex_decode(repeat("41", 4800000))',
    "[" + "item.big + 'x'," * 700 + "1]",
    "[" + "[item.list," * 30 + "1" + "]" * 31,
    "item.list.map(x => item.list)",
    "item.list.map(x => item.list).map(x => item.list)",
    "{a: items, b: items, c: items}",
    'set({}, "' + "a." * 30 + 'b", item)',
    'set({}, repeat("a.", 1000000), 1)',
    'get(item, repeat("a.", 1000000))',
    'pluck(item.list, repeat("a.", 1000000))',
]
NUMBERS = [
    "9" * 41, "9" * 5000, "1e400", "1e-400", "-1e301", "0.1e1000", "1_000_000", "0x10", "0b1", "1.2.3", "1..2", ".5.", "1e", "1e+", "00012",
    "9" * 40, "9" * 40 + " * " + "9" * 40, "9223372036854775807 + 1", "18446744073709551616", "-9223372036854775809", "1e300 * 10", "-1e300 * 10",
    "1e308", "1/3*3", "0.1+0.2", "1/0", "1%0", "0/0", "-0.0", "1/0.0", "decimal('NaN')", "decimal('Infinity')", "decimal('1e999999999')",
    "decimal('-1e-999999999')", "decimal('" + "9" * 60 + "')", "decimal('1e300') * decimal('1e300')", "decimal('1e-300') * decimal('1e-300')",
    "text(decimal('1e300'))", "decimal('1e300') + 1", "decimal(1e300)", "number('1e400')", "number('nan')", "number('inf')", "number('" + "9" * 39 + "')",
    "number('" + "9" * 500 + "')", "number('١٢٣')", "number('1e99999')", "number('--1')", "number('1_0')", "number('0x10')", "number('')", "number('.')",
    "sqrt(-1)", "pow(-8, 0.5)", "pow(0, -1)", "pow(0, 0)", "pow(-1, 9007199254740991)", "log(0)", "log(-1)", "log(5, 1)", "log(5, 0)",
    "item.huge", "item.huge * item.huge", "item.huge + 1", "item.infinite", "item.infinite - item.infinite", "item.nan", "item.nan == item.nan", "item.nan > 1",
    "[item.nan]", "[item.huge]", "round(item.nan)", "floor(item.infinite)", "text(item.infinite)", "json(item.nan)", "sum([item.nan, 1])", "sum([item.infinite, 1])",
    "sort([item.nan, 1, item.nan])", "unique([item.nan])", "max([item.nan, 1])", "range(item.nan)", "item.list[item.nan]", "item.list[1e300]", "item.list[99999999999999999999]",
    "item.list[item.huge]", "item.list[-99999999999]", "item.list[1.5]", "item.list[true]", "item.list['0']", "item.list[1e300:]", "item.list[:item.infinite]",
    "date(99999, 1, 1)", "date(2026, 13, 1)", "date(2026, 2, 30)", "date(0, 0, 0)", "date(" + "9" * 40 + ", 1, 1)", "date('0000-00-00')", "date('2026-W60-1')", "date('99999-01-01')",
    "datetime('2026-11-23T25:61:61')", "datetime('2026-11-23T10:00:00+99:99')", "datetime('0001-01-01T00:00:00+14:00')", "datetime('9999-12-31T23:59:59-14:00')",
    "datetime('0001-01-01T00:00:00+14:00') < now()", "datetime('9999-12-31T23:59:59-14:00') == now()", "in_zone('0001-01-01T00:00:00+14:00', 'UTC')",
    "end_of('9999-12-31', 'year')", "end_of('9999-12-31T23:59:59Z', 'year')", "start_of('0001-01-01', 'week')", "week('0001-01-01')", "yesterday() - days(999999999)",
    "days(999999999) + days(999999999)", "-days(999999999) - days(999999999)", "duration('999999999w')", "duration('P999999999999D')", "days(1) / 0", "days(1) / days(0)", "hours(1) * item.nan",
    "days(item.nan)", "in_unit(days(1), 'years')", "timestamp('0001-01-01')", "age('9999-12-31')", "true + true", "null + null", "-null", "-'a'", "+'a'", "!null", "'a' < 1", "null < 1", "[] < []",
    "{} + {}", "[1] - [1]", "'5' * '5'", "'5' - 2", "today() * 2", "today() + today()", "days(1) + 1", "1 + days(1)", "file + 1", "file < file", "file == file", "-file",
]  # fmt: skip
UNICODE = [
    "größe", "item.größe", "ｉｔｅｍ.x", "ⅰtem", "item\u200b.x", "item\u00a0.x", "\ufeffitem", "item\u202e.x", "'\u202e'", "“a”", "‘a’", "1 − 1", "2 × 3", "6 ÷ 2", "1 ≤ 2", "𝟙 + 𝟚", "１+１",
    "٣ + ٤", "x² + 1", "½", "é == 'é'", "'\\ud800'", "'\\udc00\\ud800'", "'\\ud83d\\ude00'", "'\\u{110000}'", "'\\u{}'", "'\\u{1F600'", "'\\uZZZZ'", "'\\x41'", "'\\N{BULLET}'", "'\\", "'", '"',
    "item.half", "sha256(item.half)", "json(item.half)", "url_encode(item.half)", "upper(item.half)", "matches(item.half, 'a')", "matches('a', item.half)", "base64(item.half)", "length(item.half)",
    "item.half + 'x'", "[item.half]", "slug(item.half)", "'İ'.lower()", "'ß'.upper()", "'ŉ'.upper().length", "reverse('👨‍👩‍👧')", "item['\u0000']", "'\u0000'", "\u0000", "\u0001", "\u007f", "item\u2028.x",
    "//comment", "/* */ 1", "# 1", "-- 1", "1;2", "a\nb", "item.x\t\r\n+\n1", "{{ item }}", "{{{{", "}}", "${x}", "<script>", "'; DROP TABLE runs; --", "' OR '1'='1", "\\", "@item", "item@x", "item?x", "item?.", "item?.[0]",
    "item..x", ".item", "item.", "item.1", "item[", "item[]", "item[:]", "item[1:2:3]", "item]", "(", ")", "()", "((((", "{", "{a", "{a:", "{a:1", "{a:1,,}", "{1.5: 1}", "{null: 1}", "{...}", "[...]", "[,]", "[1,,2]", "f(,)", "upper(,'a')",
    "? :", "1 ? 2", "1 ? : 2", "a ?? ", "?? a", "&& 1", "1 &&", "not", "not not not true", "in", "1 in", "a not b", "1 not in [1]", "== 1", "= 1", "=> 1", "x =>", "(x, ) => 1", "(x, x) => 1", "map([1], (x, x) => 1)", "map([1], (null) => 1)",
    "map([1], x => )", "map([1], (x y) => x)", "true.false", "null.null.null", "true()", "null()", "5()", "'a'()", "item.x()()", "upper(upper)", "upper", "if", "if(1)", "and(1, 2)", "\u3000", "item.list\u3164", "'a' 'b'", "1 2", "item item",
]  # fmt: skip
PATTERNS = [
    'matches(repeat("a", 30) + "b", "(a+)+$")',
    'matches(repeat("a", 100000) + "b", "(a+)+$")',
    'matches(item.big, "(x+x+)+y")',
    'matches(item.big, "^(([a-z])+.)+[A-Z]([a-z])+$")',
    'matches(item.big, "(a|aa)+$")',
    'matches(item.big, "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x$")',
    'matches(item.big, "(a?){200}a{200}")',
    'matches(item.big, "[a-z]*.{500}foo.{300}")',
    'matches(item.big, "(.{1,100}){1,8}x")',
    'matches(item.umlauts, "(.{1,100}){1,8}x")',
    'extract(item.big, "((a|b)*a(a|b){20})")',
    'extract(item.big, "(\\\\pL*){100}1")',
    'extract(item.big, "\\\\pL{500}z")',
    'extract("a", "((a{1000}){1000}){1000}")',
    'extract("a", "a{1001}")',
    'extract("a", "(")',
    'extract("a", "[")',
    'extract("a", "*")',
    'extract("a", "(?<=a)b")',
    'extract("a", "(a)\\\\1")',
    'extract("a", "(?P<x")',
    'extract("a", "a", 5)',
    'extract("a", "a", -1)',
    'extract("a", "a", "name")',
    'extract("a", "a", [])',
    'matches("a", repeat("a", 100000))',
    'matches("a", repeat("(", 900))',
    'matches("a", repeat("a|", 400))',
    'matches("a", repeat("(a*", 200) + repeat(")*", 200))',
    'extract_all(item.big, "a.*b|a")',
    'extract_all(item.big, "a*?")',
    'extract_all(item.big, "(a)(a)(a)(a)?")',
    'replace_pattern(item.big, "a*", "bb")',
    'replace_pattern(item.big, "(.)(.)(.)", "$3$2$1$1$2$3")',
    'split_pattern(item.big, "a?")',
    'range(10000).map(i => matches("a", "a" + i))',
    'range(10000).map(i => matches(item.big, "zz" + i))',
    'range(100000).filter(i => matches("abc", "b"))',
    'matches("\\n\\n", "^$")',
    'matches("é", "\\\\C")',
    'matches("", "")',
]
NESTING = [
    "(" * 39 + "1" + ")" * 39,
    "(" * 41 + "1" + ")" * 41,
    "(" * 3900 + "1" + ")" * 3900,
    "[" * 3000 + "]" * 3000,
    "{a:" * 1000 + "1" + "}" * 1000,
    "-" * 3000 + "1",
    "- " * 30 + "1",
    "!" * 3000 + "1",
    "not " * 1000 + "1",
    "1" + "+1" * 3000,
    "1" + "+1" * 150,
    "'a'" + "+'a'" * 1500,
    "item" + ".a" * 3000,
    "item" + ".a" * 150,
    "item" + "[0]" * 2000,
    "item" + "?.a" * 2000,
    "item.list" + ".reverse()" * 700,
    "item.list" + ".map(x => x)" * 150,
    "upper(" * 1000 + "'a'" + ")" * 1000,
    "if(1," * 1000 + "1" + ")" * 1000,
    "1?" * 1000 + "1" + ":1" * 1000,
    "1?1:" * 1000 + "1",
    "null ?? " * 900 + "1",
    "true && " * 900 + "1",
    "1 in [" * 500 + "1" + "]" * 500,
    "item.list.map(a => " * 50 + "1" + ")" * 50,
    "item.list.map(a => " * 6 + "1" + ")" * 6,
    "item[" * 2000 + "0" + "]" * 2000,
    "a => " * 1000 + "1",
    "x" * 8000,
    "x" * 8001,
    " " * 9000 + "1",
    "'" + "a" * 7990 + "'",
    "'" + "\\n" * 3990 + "'",
    "1 " * 4000,
    "\n" * 7000 + "item.",
    "[" + "1," * 3990 + "]",
    "{" + "a:1," * 1900 + "}",
    "upper(" + "'a'," * 1500 + "'a')",
    "coalesce(" + "null," * 1500 + "1)",
    "item.list.map((" + "a, " * 1000 + "b) => 1)",
]
TEMPLATES = [
    "{{ item.__class__ }}", "{{ 7*7 }}", "{{ ''.__class__.__mro__ }}", "{% for x in y %}", "{{ config }}", "{{ self }}", "{{", "{{ ", "{{ 1", "{{ 1 }", "{{ }}", "{{ '}}' }}", "{{ \"}}\" + '{{' }}", "{{{{", "{{{{ }}}}", "{{ {a: {b: 1}} }}", "{{{a: 1}}}",
    "{{ {a: {b: 1}}}}", "}} {{", "{{ 1 }}{{ 2 }}", "{{ 1 }} {{ item.x + 1 }}", "{{ lazy }}", "x{{ lazy }}", "x{{ file }}", "x{{ nodes }}", "x{{ item.infinite }}", "x{{ item.huge }}", "{{ 1 }}" * 3000, "x" * 900_000 + "{{ item.big }}",
    "{{ item.big }}" * 30, "x{{ range(900000) }}", "x{{ item.list.map(x => item.big) }}", "{{ '" + "a" * 9000 + "' }}", "{{" + "(" * 5000, "{{ \\}} }}", "{{ // }}", "{{ /* }} */ }}", "{{{ 1 }}}", "{{{{{ 1 }}}}}",
    "x" * 2_000_000 + "{{ 1 }}",
]  # fmt: skip

CORPUS = {
    "attributes": ATTRIBUTES,
    "formats": FORMATS,
    "time": TIME,
    "memory": MEMORY,
    "numbers": NUMBERS,
    "unicode": UNICODE,
    "patterns": PATTERNS,
    "nesting": NESTING,
    "templates": TEMPLATES,
}


def nested(depth, leaf):
    """Return lists in lists."""
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def a_scope():
    """Return a scope with the data that payloads lean on: big, deep, odd."""
    from engine.expressions import ExpressionError, Lazy
    from engine.model.items import File

    class Node(Lazy):
        secret = "must not be seen"

        def lookup(self, name):
            if name == "item":
                return {"a": 1}
            raise ExpressionError(f"there is no field “{name}”")

    item = {
        "text": "some text",
        "big": "a" * 1_000_000,
        "big2": "a" * 999_999 + "b",
        "blanks": " " * 1_000_000,
        "newlines": "\n" * 1_000_000,
        "umlauts": "äöü" * 300_000,
        "list": list(range(10_000)),
        "list2": list(range(10_000)),
        "wide": {f"field{n}": n for n in range(10_000)},
        "wide2": {f"field{n}": n for n in range(10_000)},
        "deep": nested(80, 1),
        "deep2": nested(80, 1),
        "deeper": nested(5_000, 1),
        "deeper2": nested(5_000, 1),
        "huge": 10**400,
        "infinite": float("inf"),
        "nan": float("nan"),
        "half": "\ud800",
    }
    file = File(hash="0" * 64, name="a.txt", media_type="text/plain", size=3)
    return {"item": item, "items": [item], "index": 0, "nodes": {"a": Node()}, "run": {"id": "r"}, "file": file, "lazy": Node()}


def attempt(payload, scope, is_template):
    """
    Run one payload; return how it ended (value, error, or crash for an error that nobody foresaw) and what came out.

    Anything but an ExpressionError passes through.
    """
    from engine.expressions import ExpressionError, compile_expression, compile_template, to_json_value

    try:
        value = compile_template(payload).render(scope) if is_template else compile_expression(payload).evaluate(scope)
        return "value", to_json_value(value)
    except ExpressionError as error:
        is_clean = error.message and error.caret() and "cannot be computed" not in error.message
        return "error" if is_clean else "crash", f"{error.message} {error.__cause__!r}"


def all_payloads():
    """Yield the group, the payload, and whether it is a template."""
    for group, payloads in CORPUS.items():
        for payload in payloads:
            yield group, payload, group == "templates"


def main():
    """Try every payload here and print its cost."""
    import gc
    import resource
    from pathlib import Path

    from engine.expressions import compile_expression, compile_template

    clear = Path("/proc/self/clear_refs")

    def resident(field):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    scope = a_scope()
    attempt("sum(range(1000).map(x => x)) + length(json(now()))", scope, is_template=False)
    limit = 600 << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    gc.freeze()
    for group, payload, is_template in all_payloads():
        gc.collect()
        clear.write_text("5")
        before = resident("VmRSS")
        began = time.process_time()
        how, what = attempt(payload, scope, is_template)
        took = time.process_time() - began
        for _ in range(2):
            if took > 0.5:  # a busy machine has slow seconds; what is slow by itself is slow each time
                compile_expression.cache_clear()
                compile_template.cache_clear()
                began = time.process_time()
                attempt(payload, scope, is_template)
                took = min(took, time.process_time() - began)
        rose = resident("VmHWM") - before
        print(json.dumps([group, payload[:100], how, repr(what)[:300], round(took, 3), round(rose, 1)]))  # noqa: T201
        del what


if __name__ == "__main__":
    sys.path.insert(0, str(__import__("pathlib").Path(__file__).resolve().parents[2]))
    main()
