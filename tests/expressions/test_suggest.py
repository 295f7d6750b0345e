"""What the editor offers while somebody types."""

from engine.expressions import Lazy, suggest, suggest_in_template


class Node(Lazy):
    def lookup(self, name):
        return {"status": 200} if name == "item" else [{"status": 200}]

    def names(self):
        return ["item", "items"]


SCOPE = {
    "item": {"name": "Anna", "lines": [{"sku": "a", "qty": 2}], "due date": "x", "nested": {"deep": 1}},
    "items": [],
    "index": 0,
    "nodes": {"fetch": Node(), "filter_them": Node()},
}


def offers(source, cursor=None):
    return suggest(source, len(source) if cursor is None else cursor, SCOPE)


def labels(source, cursor=None):
    return [offer.label for offer in offers(source, cursor)]


def test_names_and_functions_at_the_start():
    """
    At the start of a value the names of the scope come first, then functions; what is typed narrows them down.
    """
    assert ["item", "items", "index", "nodes"] == labels("")[:4]
    assert ["item", "items"] == labels("it")[:2]
    assert "upper" in labels("1 + up")
    assert "item" in labels("upper(")


def test_fields_behind_a_dot():
    """
    Behind a dot come the fields of the sample with what they hold, and the functions that fit its kind.
    """
    offer = offers("item.na")[0]
    assert ("name", "field", "“Anna”") == (offer.label, offer.kind, offer.detail)
    assert (5, 7) == (offer.start, offer.end)
    assert "deep" in labels("item.nested.")
    assert "due date" not in labels("item.")
    assert "filter" in labels("item.lines.")
    assert "upper" not in labels("item.lines.")
    assert "sku" in labels("item.lines[0].")
    assert "upper" in labels("item.name.")


def test_a_function_is_inserted_with_its_brackets():
    """
    A function is offered with its signature and inserted with the cursor between its brackets.
    """
    offer = next(offer for offer in offers("item.name.le") if offer.label == "left")
    assert (".left(count)", "left()", 5) == (offer.detail, offer.insert, offer.cursor)


def test_nodes():
    """
    Behind `nodes.` come the ids of the nodes, behind an id what it gave.
    """
    assert ["fetch", "filter_them"] == labels("nodes.f")
    assert ["item", "items"] == labels("nodes.fetch.")
    assert "status" in labels("nodes.fetch.item.")


def test_names_of_functions_written_inside():
    """
    Inside `l => l.` the name stands for the first value of the list.
    """
    assert ["sku", "qty"] == labels("item.lines.filter(l => l.")[:2]
    assert ["sku", "qty"] == labels("map(item.lines, x => 1 + x.")[:2]
    assert "l" == labels("item.lines.filter(l => ")[0]
    assert ["sku", "qty"] == labels("item.lines.filter(a => a.qty > 1).map(b => b.")[:2]


def test_the_rest_of_the_word_is_replaced():
    """
    In the middle of a word the whole word is replaced.
    """
    offer = next(offer for offer in offers("item.name + 1", cursor=6) if offer.label == "name")
    assert (5, 9) == (offer.start, offer.end)


def test_nothing_where_nothing_fits():
    """
    Inside texts and numbers nothing is offered, and nonsense is no error.
    """
    assert [] == labels('"item.')
    assert [] == labels("12")
    assert [] == labels("1.")
    assert [] == labels("größe.")
    assert isinstance(labels(")))((."), list)


def test_in_a_template():
    """
    In a template things are offered inside the brackets only, with places in the whole text.
    """
    source = "Dear {{ item.na }} and"
    offer = suggest_in_template(source, 15, SCOPE)[0]
    assert ("name", 13, 15) == (offer.label, offer.start, offer.end)
    assert [] == suggest_in_template(source, 3, SCOPE)
    assert [] == suggest_in_template(source, 20, SCOPE)
    assert "item" in [offer.label for offer in suggest_in_template("{{ ", 3, SCOPE)]
