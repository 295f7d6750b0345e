"""Packages: what may be asked for, how an environment is built once, and what pip says when it cannot be."""

import asyncio
import base64
import hashlib
import sys
import zipfile

import pytest

from engine.code.packages import Packages, check_requirements, environment_name
from engine.errors import BadInput, NotAllowed
from tests.run.workshop import until

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="there are no code steps on Windows")]


def a_wheel(folder, name="greetings", version="1.0"):
    """Write a wheel of one module."""
    files = {
        f"{name}.py": "def hello(who):\n    return f'Hello {who}'\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text)}")
    record = f"{name}-{version}.dist-info/RECORD"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(record, "\n".join([*lines, f"{record},,", ""]))


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels is all that pip may look into."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    a_wheel(wheels)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    return wheels


async def test_declared_packages_are_there(make_cage, index):
    """
    Code imports what it declares; the environment is built once for all who want the same, and others do not see it.
    """
    cage = make_cage(allows_packages=True)
    source = "import greetings\nreturn {'text': greetings.hello('Ada')}"
    made = await asyncio.gather(*(cage.items(source, packages=("greetings==1.0",), owner=f"wf_{n}") for n in range(2)))
    assert [[{"text": "Hello Ada"}]] * 2 == made
    folder = cage.pool._folder.parent / "packages"
    assert [environment_name(("greetings==1.0",))] == [path.name for path in folder.iterdir()]
    (index / "greetings-1.0-py3-none-any.whl").unlink()
    assert [{"text": "Hello Ada"}] == await cage.items(source, packages=(" greetings == 1.0 ",), owner="wf_3")
    with pytest.raises(Exception, match="No module named 'greetings'"):
        await cage.items(source)


async def test_what_cannot_be_had_is_told(make_cage, index):
    """
    A package that is not there is an error with pip's own reason, and nothing half built is left.
    """
    cage = make_cage(allows_packages=True)
    with pytest.raises(
        BadInput, match=r"no-such-thing==9.*cannot be installed: .*No matching distribution|satisfies"
    ) as caught:
        await cage.items("return {}", packages=("no-such-thing==9",))
    assert {"field": "packages"} == caught.value.where
    assert [] == list((cage.pool._folder.parent / "packages").iterdir())


async def test_a_build_that_is_given_up(tmp_path, index):
    """
    When Treadle stops while packages are built, pip ends too and leaves nothing.
    """
    packages = Packages(tmp_path / "packages", is_allowed=True)
    waiting = asyncio.create_task(packages.get(["greetings"]))
    await until(lambda: any((tmp_path / "packages").glob(".*")))
    await packages.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [] == list((tmp_path / "packages").iterdir())


async def test_only_where_they_are_allowed(tmp_path):
    """
    Without the owner's permission there are none, and no packages need none.
    """
    packages = Packages(tmp_path)
    assert () == await packages.get([])
    with pytest.raises(NotAllowed, match="the code wants numpy"):
        await packages.get(["numpy"])


@pytest.mark.parametrize(
    "requirement",
    [
        "--index-url=http://x",
        "-r file",
        "./folder",
        "/tmp/x",
        "git+https://x/y",
        "a @ https://x/y.whl",
        "a; b",
        "a b",
        "https://x",
        "x" * 200,
        "a\nb",
        "file:x",
    ],
)
def test_only_names_and_versions(requirement):
    """
    No options, addresses, paths or links reach pip.
    """
    with pytest.raises(BadInput, match="is no package"):
        check_requirements([requirement])


def test_one_order():
    """
    The same set is the same, however it is written.
    """
    wanted = ("NumPy>=2,<3", "pandas[excel]==2.3.3")
    assert wanted == check_requirements(["pandas[excel] == 2.3.3", "NumPy >=2, <3", "", "NumPy>=2,<3"])
