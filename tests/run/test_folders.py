"""Each workflow's own folder."""

import pytest

from engine.run.folders import Folders, OneFolder, slug


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("Overdue invoices", "overdue-invoices", id="words"),
        pytest.param("Müller & Söhne: Größen", "mueller-soehne-groessen", id="German letters"),
        pytest.param("../../etc/passwd", "etc-passwd", id="no way up"),
        pytest.param("注文", "workflow", id="never empty"),
    ],
)
def test_slug(name, expected):
    """
    A name becomes words that every file system takes.
    """
    assert expected == slug(name)


def test_a_renamed_workflow_keeps_its_files(tmp_path):
    """
    The folder is found by the workflow's id, so a new name does not lose the old files.
    """
    folders = Folders(tmp_path)
    before = folders.of("wf_0123456789abcdef01234567", "Old name")
    (before / "report.xlsx").write_bytes(b"x")
    after = folders.of("wf_0123456789abcdef01234567", "New name")
    assert before == after


def test_two_workflows_of_one_name_stay_apart(tmp_path):
    """
    The same name never means the same files.
    """
    folders = Folders(tmp_path)
    assert folders.of("wf_aaaaaaaaaaaaaaaa11111111", "Same") != folders.of("wf_aaaaaaaaaaaaaaaa22222222", "Same")


def test_a_given_folder_is_used_as_it_is(tmp_path):
    """
    `treadle run FILE --folder DIR` reads and writes in DIR itself.
    """
    assert tmp_path / "mine" == OneFolder(tmp_path / "mine").of(None, "Any")
