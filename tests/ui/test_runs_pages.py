"""The list of runs, the page of one run, the settings, and downloads."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.ids import new_run_id
from engine.service.runs import RunFilter
from ui.downloads import address
from ui.editor.canvas import Canvas

pytestmark = pytest.mark.anyio

FAILING = """
treadle: 1
name: Ages
nodes:
  start:
    use: trigger.manual
    with: {sample: [{name: Ada, age: 36}, {name: Cy, age: null}]}
  older:
    title: A year older
    use: data.set
    with: {fields: {age: item.age + 1}}
edges: [start -> older]
"""


async def test_runs_are_listed_newest_first_and_filtered(stage):
    """
    Workflow, status, tests or not: what passes the filters is shown, with the sentence of what failed.
    """
    people, ages = await stage.a_workflow(), await stage.a_workflow(FAILING)
    good, bad = await stage.a_run(people), await stage.a_run(ages)
    await stage.user.open("/runs")
    await stage.until(lambda: stage.marked(f"run-{good.id}") and stage.marked(f"run-{bad.id}"))
    await stage.user.should_see("Failed")

    (status,) = stage.marked("filter-status")
    status.value = "failed"
    await stage.until(lambda: not stage.marked(f"run-{good.id}"))
    assert stage.marked(f"run-{bad.id}")
    (kind,) = stage.marked("filter-kind")
    kind.value = "real"
    await stage.user.should_see("No run passes these filters")

    await stage.user.open(f"/runs?workflow={people}")
    await stage.until(lambda: stage.marked(f"run-{good.id}"))
    assert not stage.marked(f"run-{bad.id}")


async def test_runs_are_filtered_by_time_duration_and_key(stage):
    """
    What began long ago, was over too soon, or was started by another event is left out.
    """
    now, people = stage.studio.clock.now(), await stage.a_workflow()
    recent = await stage.a_run(people)

    def keep_old(work):
        began = now - timedelta(days=3)
        slow = replace(
            recent, id=new_run_id(began), queued_at=began, started_at=began, finished_at=began + timedelta(minutes=2)
        )
        work.runs.add(slow, input=b"[]", document=work.runs.get_document(recent.id))
        return slow

    slow = await stage.treadle.store.write(keep_old)
    await stage.user.open("/runs")
    await stage.until(lambda: stage.marked(f"run-{slow.id}") and stage.marked(f"run-{recent.id}"))

    (time,), (took,), (where,) = (stage.marked(f"filter-{name}") for name in ("time", "took", "where"))
    time.value = "24h"
    await stage.until(lambda: not stage.marked(f"run-{slow.id}"), "three days ago is too long ago")
    time.value, took.value = "7d", "1m"
    await stage.until(lambda: stage.marked(f"run-{slow.id}") and not stage.marked(f"run-{recent.id}"), "two minutes are long")
    where.value = "key"
    (field,) = stage.marked("search-runs")
    field.value = "no-such-event"
    await stage.user.should_see("No run passes these filters")


async def test_older_runs_come_on_demand(stage):
    """
    A page holds fifty; the rest is a click away.
    """
    people = await stage.a_workflow()
    for _ in range(53):
        await stage.a_run(people)
    await stage.user.open("/runs")

    def shown():
        return sum(len(stage.marked(f"run-{run}")) for run in ids)

    ids = [run.id for run in await stage.studio.runs.list_page(RunFilter(limit=100))]
    await stage.until(lambda: shown() == 50)
    stage.user.find(marker="older").click()
    await stage.until(lambda: shown() == 53)


async def test_the_list_follows_runs_as_they_happen(stage):
    """
    A run that starts while the page is open appears by itself.
    """
    people = await stage.a_workflow()
    await stage.user.open("/runs")
    await stage.user.should_see("Nothing has run yet")
    run = await stage.a_run(people)
    await stage.until(lambda: stage.marked(f"run-{run.id}"))


async def test_a_failed_run_tells_its_sentence_where_and_what_to_do(stage):
    """
    The banner names the step, the sentence and the hint; the failed step is the one that is open.
    """
    run = await stage.a_run(await stage.a_workflow(FAILING))
    await stage.user.open(f"/runs/{run.id}")
    assert ["Failed"] == stage.texts("run-status")
    (sentence, *rest) = [line for line in stage.texts("run-error") if line != "error"]
    assert sentence.startswith("A year older: ")
    assert "null" in sentence
    assert rest, "a hint follows"
    assert "At item 2 · in the field “fields”" in stage.texts("step-error")
    (table,) = stage.marked("table")
    assert (["Ada", "Cy"], 1) == ([row[0][0] for row in table._props["rows"]], table._props["chosen"]), "what it choked on"
    await stage.user.should_see(marker="retry")
    await stage.user.should_see(marker="bar-older")


async def test_a_run_is_drawn_as_it_was_and_its_data_can_be_read(stage):
    """
    The run's own document is drawn, read-only, with states and counts; a click on a bar opens that step.
    """
    people = await stage.a_workflow()
    run = await stage.a_run(people)
    draft = await stage.studio.drafts.open(people)
    await draft.replace_text(draft.write().replace("Grown up", "Renamed since"), "owner")

    await stage.user.open(f"/runs/{run.id}")
    canvas = stage.one(Canvas)
    canvas.run_method = lambda *call: stage.calls.append(call)
    stage.fire(canvas, "ready")
    graph = next(call[1] for call in stage.calls if call[0] == "load")
    assert graph["readonly"] is True
    assert "Grown up" in [node["title"] for node in graph["nodes"]]
    assert {"start.out->grown_up.in": 3, "grown_up.out->greet.in": 1} == canvas._counts

    stage.user.find(marker="bar-start").click()
    await stage.until(lambda: stage.texts("item-count") == ["3 items"])
    (table,) = stage.marked("table")
    assert [["Ada", "string", "", ""], ["36", "number", "", ""]] == table._props["rows"][0]
    assert ["null", "null", "", ""] == table._props["rows"][2][1]


async def test_a_failed_run_is_retried_from_its_page(stage):
    """
    Retry makes a new run and goes to it.
    """
    run = await stage.a_run(await stage.a_workflow(FAILING))
    await stage.user.open(f"/runs/{run.id}")
    stage.user.find(marker="retry").click()
    await stage.until(lambda: stage.user.back_history[-1] != f"/runs/{run.id}")
    again = await stage.studio.runs.get(stage.user.back_history[-1].rsplit("/", 1)[-1])
    assert run.id == again.retry_of


async def test_a_run_that_is_gone_says_so(stage):
    """
    An old link leads to a sentence.
    """
    await stage.user.open("/runs/run_gone")
    await stage.user.should_see("There is no run “run_gone”.")


async def test_a_token_is_shown_once_and_can_be_revoked(stage):
    """
    The secret works, is not kept, and ends with a click and a confirmation.
    """
    await stage.user.open("/settings")
    await stage.user.should_see("No tokens")
    stage.user.find(marker="new-token").click()
    await stage.user.should_see(marker="token-name")
    stage.user.find(marker="token-name").type("nightly")
    stage.user.find(marker="create-token").click()
    (secret,) = await stage.until(lambda: stage.texts("token-secret"))
    actor = await stage.studio.tokens.find_actor(secret)
    assert {"read", "run"} == set(actor.scopes)

    stage.user.find(marker="revoke-nightly").click()
    await stage.user.should_see("Revoke this token?")
    stage.user.find(marker="confirm").click()
    await stage.user.should_see("No tokens")
    assert await stage.studio.tokens.find_actor(secret) is None


async def test_settings_show_where_the_data_lies(stage, tmp_path):
    """
    Whoever makes backups by hand wants the folder.
    """
    await stage.user.open("/settings")
    assert [str(tmp_path)] == stage.texts("data-folder")


async def test_the_walls_around_code_are_shown(stage):
    """
    The settings page tells which walls stand around code on this machine, as they were tried.
    """
    await stage.user.open("/settings")
    await stage.user.should_see("Code steps")
    await stage.user.should_see(marker="wall-time")
    await stage.user.should_see("What takes too long is killed, whatever it is doing.")


async def test_a_file_is_downloaded_and_can_do_nothing(stage):
    """
    Always an attachment, in a sandbox, never sniffed; HTML loses its type, an odd name its oddities.
    """
    page = await stage.studio.files.keep(b"<script>alert(1)</script>", name='a"/../b\n.html', media_type="text/html")
    answer = await stage.user.http_client.get(address(page))
    assert (200, b"<script>alert(1)</script>") == (answer.status_code, answer.content)
    assert "application/octet-stream" == answer.headers["content-type"]
    assert "sandbox; default-src 'none'" == answer.headers["content-security-policy"]
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "\n" not in answer.headers["content-disposition"]

    sheet = await stage.studio.files.keep(b"a,b\n", name="Übersicht.csv", media_type="text/csv")
    answer = await stage.user.http_client.get(address(sheet))
    assert "text/csv; charset=utf-8" == answer.headers["content-type"]
    assert "%C3%9Cbersicht.csv" in answer.headers["content-disposition"]


@pytest.mark.parametrize("digest", ["0" * 64, "..%2f..%2fetc%2fpasswd", "abc", "A" * 64])
async def test_what_was_never_kept_is_not_found(stage, digest):
    """
    Only names the store could have given are looked for.
    """
    answer = await stage.user.http_client.get(f"/_treadle/files/{digest}?name=x.txt")
    assert 404 == answer.status_code
