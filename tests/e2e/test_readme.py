"""The examples of README and of the manual's pages, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

from commands import ROOT, loadmux, program, run, started


def example(name: str, folder: Path) -> Path:
    """The block whose first line is `# NAME`, as a file."""
    pages = [ROOT / "README.md", *sorted((ROOT / "loadmux/manual").glob("*.md"))]
    text = "\n".join(page.read_text() for page in pages)
    (block,) = re.findall(
        rf"^```\w+\n(# {re.escape(name)}\n.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    path = folder / name
    path.write_text(block)
    return path


def test_the_python_scenario(tmp_path: Path) -> None:
    done = run(example("login.py", tmp_path), "-u", "4", "-t", "500ms", folder=tmp_path)
    assert done.code in (0, 99), done.out
    assert done.told["exchanges"]["errors"] == 0
    assert done.told["script_errors"] == []
    assert {row["name"] for row in done.told["steps"]} >= {"login", "exchange data"}


def test_publish_and_subscribe_with_redis(tmp_path: Path) -> None:
    path = example("pubsub.yaml", tmp_path)
    assert loadmux("check", path).code == 0
    at = tmp_path / "redis.sock"
    words = [program("redis-server"), "--port", "0", "--unixsocket", str(at), "--save", ""]
    with started(words, cwd=tmp_path) as redis:
        assert redis.stdout is not None
        assert any("ready to accept connections" in line.lower() for line in redis.stdout)
        done = run(path, "--target", f"unix://{at}", "-t", "500ms", folder=tmp_path)
    assert done.code == 0, done.out
    rows = {row["name"]: row["count"] for row in done.told["steps"]}
    assert rows["heard"] == rows["said"] > 0


def test_links_lead_somewhere() -> None:
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "loadmux/manual").glob("*.md"),
    ]:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            file, _, anchor = target.partition("#")
            if file.startswith(("http:", "https:")):
                continue
            found = page.parent / file if file else page
            assert found.exists(), f"{page.name}: {target}"
            if anchor and found.suffix == ".md":
                titles = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
                slugs = [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in titles]
                assert anchor in slugs, f"{page.name}: {target}"
