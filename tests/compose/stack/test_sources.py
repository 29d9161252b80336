"""A copy of the source is whole, is named by what is in it, and goes when nobody needs it."""

from pathlib import Path

import pytest

from compose.stack import sources
from compose.stack.errors import StackError

NAMES = ("shared", "services/worker", "services/__init__.py", "not/there")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("shared/a.py", "shared/deep/b.py", "services/worker/c.py", "services/__init__.py"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "root/services/other.py").write_text("not of this service")
    (tmp_path / "root/shared/__pycache__").mkdir()
    (tmp_path / "root/shared/__pycache__/a.pyc").write_text("of another place")
    return tmp_path / "root"


def made(root: Path) -> Path:
    home = root.parent / "code" / sources.digest(root, NAMES)
    sources.copy(root, home, NAMES)
    return home


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_holds_what_was_named_and_no_more(root: Path) -> None:
    home = made(root)
    assert files(home) == {
        *("shared/a.py", "shared/deep/b.py", "services/worker/c.py", "services/__init__.py")
    }
    assert sources.digest(home, NAMES) == home.name


def test_what_was_begun_from_it_is_not_changed_by_a_change(root: Path) -> None:
    before = made(root)
    (root / "shared/a.py").write_text("of the next release")
    assert made(root) != before
    assert (before / "shared/a.py").read_text() == "shared/a.py"


def test_it_is_made_once(root: Path) -> None:
    home = made(root)
    (home / "kept").write_text("")
    assert made(root) == home
    assert (home / "kept").exists()


def test_a_copy_that_was_cut_short_is_made_again(root: Path) -> None:
    home = root.parent / "code" / sources.digest(root, NAMES)
    half = home.with_name(f"{home.name}.new")
    (half / "shared").mkdir(parents=True)
    (half / "shared/half.py").write_text("")
    assert "shared/half.py" not in files(made(root))
    assert not half.exists()


def test_code_that_changes_meanwhile_is_not_mixed(root: Path) -> None:
    home = root.parent / "code" / sources.digest(root, NAMES)
    (root / "services/worker/c.py").write_text("of the next release")
    with pytest.raises(StackError, match="changed while it was copied"):
        sources.copy(root, home, NAMES)
    assert not list(home.parent.iterdir())


def test_old_ones_go(root: Path) -> None:
    old = made(root)
    (root / "shared/a.py").write_text("of the next release")
    new = made(root)
    sources.keep_only(new.parent, {new})
    assert new.exists()
    assert not old.exists()
