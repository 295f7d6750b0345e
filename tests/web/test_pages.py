"""Public pages: forms that start runs, links to steps that wait; nobody signs in, nothing is decided by looking."""

import asyncio
import re
from datetime import timedelta
from html import unescape

import pytest

from engine.model.run import RunStatus
from engine.run.links import Links, Place
from tests.web.house import a_house, served

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html"}

FORM = """treadle: 1
name: Contact
nodes:
  ask:
    use: trigger.form
    with:
      path: contact
      title: Say <hello>
      text: We answer soon.
      fields:
        - {name: name, label: Your name, required: true}
        - {name: age, type: integer, minimum: 18}
        - {name: colour, type: choice, choices: [red, green]}
        - {name: day, type: date}
        - {name: agree, type: yes_no, label: I agree, required: true}
        - {name: photo, type: file}
      thanks: See you.
"""
TWO = (
    FORM.replace("Contact", "Two pages").replace("contact", "two")
    + """  more:
    use: flow.form
    with:
      title: "And you, {{ item.name }}?"
      fields: [{name: why, type: long_text, required: true}]
      thanks: That was all.
  end:
    use: data.set
    with: {fields: {name: nodes.ask.item.name}}
edges:
  - ask -> more
  - more -> end
"""
)
ASK = """treadle: 1
name: Refund
nodes:
  start:
    use: trigger.manual
  link:
    use: data.set
    with: {fields: {link: run.links.boss}}
  boss:
    use: flow.approval
    with:
      title: "Refund <b>{{ item.who }}</b>"
      text: "Please decide, {{ item.who }}."
      people: [ada@example.org]
      buttons: {approve: Pay it, reject: No}
      fields: [{name: amount, type: number, required: true}]
  paid:
    use: data.set
    with: {fields: {}}
  refused:
    use: data.set
    with: {fields: {}}
edges:
  - start -> link
  - link -> boss
  - boss.approve -> paid
  - boss.reject -> refused
"""
WAIT = """treadle: 1
name: Waits
nodes:
  start:
    use: trigger.manual
  pause:
    use: flow.wait
    with: {signal: paid}
  end:
    use: data.set
    with: {fields: {}}
edges:
  - start -> pause
  - pause -> end
"""
GOOD = {"name": "Ada", "age": "36", "colour": "red", "day": "1851-12-10", "agree": "yes"}


@pytest.fixture
async def house(tmp_path):
    async with a_house(tmp_path) as house:
        yield house


@pytest.fixture
async def client(house):
    async with served(house.front()) as client:
        yield client


async def started(house, text, item=None):
    """Publish a workflow, start it, and return its run once it is parked."""
    workflow = await house.studio.workflows.create(text)
    run = await house.studio.runs.start(workflow.id, item or {"who": "Ada"})
    assert RunStatus.WAITING == (await house.worker.wait(run.id)).status
    return run


async def path_to(house, run, node):
    return house.worker.env.links.url(Place(run.id, node))


async def over(house, run):
    async with asyncio.timeout(10):
        while not (found := await house.studio.runs.get(run.id)).status.is_final:
            await house.worker.wait(run.id, timedelta(seconds=1))
            await asyncio.sleep(0)
    return found


def once(page):
    return re.search(r'name="_once" value="([^"]+)"', page.text)[1]


async def test_a_form_starts_a_run(house, client):
    """
    The page shows the fields; what was sent is typed, kept, and leaves the trigger as one item; then there are thanks.
    """
    await house.publish(FORM)
    page = await client.get("/forms/contact", headers=HTML)
    assert 200 == page.status_code
    assert "Say &lt;hello&gt;" in page.text
    assert "script" not in page.text

    files = {"photo": ("cat.png", b"meow", "image/png")}
    sent = await client.post("/forms/contact", data={**GOOD, "_once": once(page)}, files=files, follow_redirects=True)

    assert "See you." in sent.text
    (run,) = await house.runs()
    (item,) = (await house.studio.runs.output(run.id, "ask")).items
    photo = item.pop("photo")
    assert {"name": "Ada", "age": 36, "colour": "red", "day": "1851-12-10", "agree": True} == item
    assert ("cat.png", 4, b"meow") == (photo.name, photo.size, house.files.path(photo).read_bytes())


async def test_the_same_page_sent_twice_starts_one_run(house, client):
    """
    A double click is one answer.
    """
    await house.publish(FORM)
    page = await client.get("/forms/contact")
    for _ in range(2):
        await client.post("/forms/contact", data={**GOOD, "_once": once(page)})
    assert 1 == len(await house.runs())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": " "}, "Please fill this in."),
        ({"age": "17"}, "At least 18."),
        ({"age": "x"}, "This is no whole number."),
        ({"colour": "blue"}, "Please choose one of the list."),
        ({"day": "tomorrow"}, "This is no date"),
        ({"agree": ""}, "This has to be ticked."),
        ({"name": "x" * 1001}, "At most 1000 characters."),
    ],
)
async def test_what_is_wrong_is_told_and_nothing_starts(house, client, change, told):
    """
    The page comes back with what was typed and a sentence at the field.
    """
    await house.publish(FORM)
    again = await client.post("/forms/contact", data={**GOOD, "name": "<Ada & co>", **change})
    assert 422 == again.status_code
    assert told in unescape(again.text)
    assert "<Ada" not in again.text
    assert [] == await house.runs()


async def test_one_form_leads_to_the_next(house, client):
    """
    Whoever sent the first page gets the second one of the same run, then the thanks; answers come with their lineage.
    """
    await house.publish(TWO)
    second = await client.post("/forms/two", data={"name": "Ada", "agree": "yes"}, follow_redirects=True)
    assert "And you, Ada?" in second.text

    last = await client.post(second.url.path, data={"why": "Because\nit is so"}, follow_redirects=True)

    assert "That was all." in last.text
    (run,) = await house.runs()
    await over(house, run)
    assert [{"why": "Because\nit is so", "name": "Ada"}] == await house.outputs(run, "end")


async def test_a_link_decides_once(house, client):
    """
    Looking decides nothing, also by HEAD; the first who presses a button decides, and that is kept with name and time.
    """
    run = await started(house, ASK)
    path = await path_to(house, run, "boss")
    assert [{"who": "Ada", "link": path}] == await house.outputs(run, "link")
    for _ in range(3):
        page = await client.get(path, headers=HTML)
        await client.head(path)
    assert ("Refund &lt;b&gt;Ada&lt;/b&gt;" in page.text, "Pay it" in page.text) == (True, True)
    assert RunStatus.WAITING == (await house.studio.runs.get(run.id)).status

    assert 422 == (await client.post(path, data={"_button": "approve"})).status_code
    assert 400 == (await client.post(path, data={"_button": "steal", "amount": "7"})).status_code
    pressed = {"_button": "approve", "_by": "Boss", "_note": "fine", "amount": "7.5"}
    answers = await asyncio.gather(*(client.post(path, data=pressed) for _ in range(3)))
    assert [200, 410, 410] == sorted(answer.status_code for answer in answers)

    await over(house, run)
    (item,) = await house.outputs(run, "paid")
    told = ("decision", "by", "note", "answers")
    assert ("approve", "Boss", "fine", {"amount": 7.5}) == tuple(item["approval"][name] for name in told)
    assert 410 == (await client.get(path)).status_code


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_another_page_cannot_press_a_button(house, client, origin):
    """
    A form on a foreign site that knows the address gets nowhere.
    """
    run = await started(house, ASK)
    path = await path_to(house, run, "boss")
    answer = await client.post(path, data={"_button": "approve", "amount": "1"}, headers={"origin": origin})
    assert 400 == answer.status_code
    assert RunStatus.WAITING == (await house.studio.runs.get(run.id)).status


@pytest.mark.parametrize(
    "spoil", [lambda path: path[:-2], lambda path: path[:-9] + "AAAAAAAAA", lambda _: "/w/x", lambda _: "/w/é"]
)
async def test_a_link_cannot_be_made_up(house, client, spoil):
    """
    A token that was changed leads nowhere, and says nothing about runs.
    """
    run = await started(house, WAIT)
    answer = await client.post(spoil(await path_to(house, run, "pause")))
    assert 404 == answer.status_code
    assert run.id not in answer.text


def test_a_link_is_of_its_installation():
    """
    Another key reads nothing; a link to follow a form is none to answer one.
    """
    place = Place("run_1", "boss", "loop:3")
    ours = Links(b"a" * 32, "https://treadle.example")
    assert place == ours.read(ours.token(place))
    assert Links(b"b" * 32).read(ours.token(place)) is None
    assert ours.token(place) != ours.token(Place("run_1", "boss", "loop:3", "follow"))


@pytest.mark.parametrize(
    ("send", "expected"),
    [
        pytest.param({"json": {"n": 1}}, [{"n": 1}], id="an object"),
        pytest.param({"json": [{"n": 1}, {"n": 2}]}, [{"n": 1}, {"n": 2}], id="a list"),
        pytest.param({"data": {"n": "1"}}, [{"n": "1"}], id="a form"),
        pytest.param({}, [{"who": "Ada"}], id="nothing"),
        pytest.param({"data": {"_button": "go_on"}}, [{"who": "Ada"}], id="the page's own button"),
    ],
)
async def test_a_link_resumes_a_wait(house, client, send, expected):
    """
    A GET asks, a POST goes on with what it brings.
    """
    run = await started(house, WAIT)
    path = await path_to(house, run, "pause")
    assert "Go on" in (await client.get(path, headers=HTML)).text

    assert 200 == (await client.post(path, **send)).status_code

    assert RunStatus.SUCCEEDED == (await over(house, run)).status
    assert expected == await house.outputs(run, "end")
    assert 410 == (await client.post(path)).status_code


async def test_pages_are_closed_to_other_sites(house, client):
    """
    No script, no frame, no referrer, no cache.
    """
    await house.publish(FORM)
    headers = (await client.get("/forms/contact")).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert ("no-referrer", "no-store", "nosniff") == tuple(
        headers[name] for name in ("referrer-policy", "cache-control", "x-content-type-options")
    )
    assert "text/css" == (await client.get("/w/style.css")).headers["content-type"]


async def test_a_form_has_a_limit(house):
    """
    More bytes than allowed are refused before they are read.
    """
    await house.publish(FORM)
    async with served(house.front(limit=1000)) as client:
        answer = await client.post("/forms/contact", data={**GOOD, "name": "x" * 2000})
    assert 413 == answer.status_code
    assert [] == await house.runs()


async def test_answers_are_kept_before_anybody_says_thanks(house, client):
    """
    A paused trigger holds what was sent; it starts when it is let go.
    """
    workflow = await house.publish(FORM)
    await house.triggers.pause(workflow, "ask")
    assert "See you." in (await client.post("/forms/contact", data=GOOD, follow_redirects=True)).text
    assert [] == await house.runs()
    assert 1 == await house.triggers.resume(workflow, "ask")
    assert 1 == len(await house.runs())
