"""Files of results: whole or not at all, and what cannot be written is told before."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from loadmux.errors import UsageError
from loadmux.report.writing import check_writable, write_text

TEXT = "all of it, é\n" * 1000


def test_a_written_file_replaces_an_older_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("x" * 100_000)
    write_text(path, TEXT)
    assert path.read_text(encoding="utf-8") == TEXT
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "latest.json"
    link.symlink_to("real.json")
    write_text(link, TEXT)
    assert link.is_symlink()
    assert (tmp_path / "real.json").read_text(encoding="utf-8") == TEXT


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    texts: list[str] = []
    reader = threading.Thread(target=lambda: texts.append(pipe.read_text()), daemon=True)
    reader.start()
    check_writable(pipe)
    write_text(pipe, TEXT)
    reader.join(timeout=10)
    assert texts == [TEXT]
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("place", "reason"),
    [("missing/report.json", "No such"), ("folder", "Is a directory"), ("file/x", "Not a dir|No")],
)
def test_a_place_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, place: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    path = tmp_path / place
    with pytest.raises(UsageError, match=rf"cannot write {path}: .*({reason})"):
        write_text(path, TEXT)
    with pytest.raises(UsageError, match=rf"cannot write {path}: .*({reason})"):
        check_writable(path)


def test_a_place_that_can_be_written_is_left_untouched_by_the_check(tmp_path: Path) -> None:
    check_writable(tmp_path / "report.json")
    check_writable("report.json")
    check_writable("/dev/null")
    assert list(tmp_path.iterdir()) == []
