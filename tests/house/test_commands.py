"""The commands: what `make` offers, what the READMEs promise, what CI runs."""

import os
import re
import subprocess

import pytest

TARGETS = ["setup", "demo", "serve", "test", "battery", "check", "fix", "migrate", "docs", "bench", "bench-lapses"]
TAUGHT = ["make demo", "make check test"]


@pytest.fixture(scope="module")
def makefile(root):
    return (root / "Makefile").read_text(encoding="utf-8")


def test_make_alone_lists_every_command(root, makefile):
    quiet = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    shown = subprocess.run(["make"], cwd=root, env=quiet, check=True, capture_output=True, text=True).stdout
    listed = re.findall(r"^  make ([\w-]+) +\S", shown, flags=re.MULTILINE)
    assert set(TARGETS) <= set(listed)
    offered = re.search(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE).group(1).split()
    assert sorted(listed) == sorted(offered)


def test_every_command_but_help_makes_the_environment_first(makefile):
    rules = dict(re.findall(r"^([a-z-]+):(.*)##", makefile, flags=re.MULTILINE))
    assert [name for name, needs in rules.items() if "$(READY)" not in needs] == ["help"]


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_readme_opens_with_two_commands_that_exist(root, makefile, readme):
    text = (root / readme).read_text(encoding="utf-8")
    block = re.search(r"```sh\n(.*?)```", text, flags=re.DOTALL).group(1)
    commands = [line.partition("#")[0].strip() for line in block.splitlines()]
    assert commands == TAUGHT
    for target in " ".join(commands).replace("make", "").split():
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_ci_runs_what_the_readme_teaches(root):
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert re.findall(r"\bmake .*$", text, flags=re.MULTILINE) == ["make check test"]
    assert "set -euo pipefail" in text


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh.md", "CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md"]
)
def test_a_link_between_pages_leads_somewhere(root, page):
    text = (root / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not ((root / page).parent / link).exists()] == []
