"""The papers: lock files, image, changelog, catalogue entry, decision records, and what none of them may name."""

import re
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

LOCKS = ["dev", "runtime", "build"]
# Written so that this page does not name them either.
ADDRESSES = re.compile(r"[p]ypi\.org|[p]ythonhosted\.org|[n]pmjs\.(?:org|com)|[d]eb\.debian\.org|[p]roxy\.golang\.org")
MACHINES = re.compile(r"(?<![\w.*~-])/(?:[w]ork|[r]oot|[h]ome/\w+|[U]sers/\w+)/\w")


def pins(text):
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, flags=re.MULTILINE))


def plain(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement).group().lower().replace("_", "-")


@pytest.fixture(scope="module")
def lock(root):
    return {name: (root / "requirements" / f"{name}.txt").read_text(encoding="utf-8") for name in LOCKS}


@pytest.fixture(scope="module")
def dockerfile(root):
    return (root / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")


def test_no_committed_file_names_a_registry(texts):
    assert [name for name, text in texts.items() if ADDRESSES.search(text)] == []


def test_no_committed_file_names_a_folder_of_somebody_s_machine(texts):
    assert {name: found.group() for name, text in texts.items() if (found := MACHINES.search(text))} == {}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_holds_hashes_and_no_addresses(lock, name):
    lines = re.sub(r"\\\n\s+", "", lock[name]).splitlines()
    assert lines
    assert [
        line for line in lines if not re.fullmatch(r"[\w.-]+==\S+(?: ;[^-]+)? (?:--hash=sha256:[0-9a-f]{64} ?)+", line)
    ] == []


def test_the_lock_files_agree_and_hold_every_package_asked_for(lock, project):
    dev, runtime = pins(lock["dev"]), pins(lock["runtime"])
    assert {name: version for name, version in runtime.items() if dev.get(name) != version} == {}
    assert {plain(wanted) for wanted in project["project"]["dependencies"]} <= set(runtime)
    assert {plain(wanted) for wanted in project["dependency-groups"]["dev"]} <= set(dev)


def test_every_ignored_lint_rule_has_its_reason(root):
    settings = (root / "pyproject.toml").read_text(encoding="utf-8")
    lint = settings[settings.index("[tool.ruff.lint]") : settings.index("[tool.ruff.lint.pydocstyle]")]
    rules = re.findall(r'^ +"[A-Z]+\d*".*$', lint, flags=re.MULTILINE)
    assert rules
    assert [line for line in rules if not re.search(r",\s+# \w.{15,}$", line)] == []


def test_every_tolerated_warning_has_its_reason(root):
    settings = (root / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^filterwarnings = \[\n(.*?)^\]", settings, flags=re.DOTALL | re.MULTILINE).group(1)
    lines = [line.strip() for line in block.splitlines()]
    assert lines[0] == '"error",'
    entries = [(before, line) for before, line in pairwise(lines) if line.startswith('"')]
    assert [line for before, line in entries if "  # " not in line and not before.startswith("# ")] == []


def test_the_image_is_pinned_and_runs_as_nobody_in_particular(dockerfile):
    bases = re.findall(r"^FROM (\S+)", dockerfile, flags=re.MULTILINE)
    assert len(bases) > 1
    assert [base for base in bases if not re.search(r":\d+\.\d+", base)] == []
    users = re.findall(r"^USER (\d+):(\d+)$", dockerfile, flags=re.MULTILINE)
    assert int(users[-1][0]) > 0
    assert int(users[-1][1]) > 0


def test_the_image_knows_whether_it_is_well_and_installs_by_hash(dockerfile):
    assert "/livez" in re.search(r"^HEALTHCHECK .*$", dockerfile, flags=re.MULTILINE).group()
    assert "--require-hashes" in dockerfile
    assert re.search(r'^ENTRYPOINT \["mediation"\]$', dockerfile, flags=re.MULTILINE)


def test_the_image_holds_no_secret(dockerfile):
    named = re.findall(r"^(?:ENV|ARG) .*(?:PASSWORD|SECRET|TOKEN|KEY|_URL).*$", dockerfile, flags=re.MULTILINE)
    assert named == []


def test_what_the_image_copies_is_there_and_let_in(root, dockerfile):
    allowed = {
        line[1:] for line in (root / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, flags=re.MULTILINE)
        for source in line.split()
    ]
    assert copied
    assert [name for name in copied if not (root / name).exists() or Path(name).parts[0] not in allowed] == []


def test_hadolint_has_nothing_to_say_about_the_image(root):
    said = subprocess.run(
        [root / ".venv/bin/hadolint", "Dockerfile"], cwd=root, check=False, capture_output=True, text=True
    )
    assert (said.returncode, said.stdout) == (0, "")


def test_every_release_says_what_changed_in_the_law(root):
    releases = (root / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## [")[1:]
    assert releases
    assert releases[0].startswith("Unreleased]")
    assert [release.splitlines()[0] for release in releases if "\n### Law\n" not in release] == []


def test_the_catalogue_entry_is_complete(root, project):
    entry = yaml.safe_load((root / "publiccode.yml").read_text(encoding="utf-8"))
    needed = {"publiccodeYmlVersion", "name", "url", "platforms", "developmentStatus", "softwareType", "description"}
    assert needed | {"legal", "maintenance", "localisation"} <= set(entry)
    assert entry["softwareVersion"] == project["project"]["version"]
    assert entry["legal"]["license"] == project["project"]["license"]
    assert set(entry["description"]) == set(entry["localisation"]["availableLanguages"])
    for words in entry["description"].values():
        assert len(words["shortDescription"]) <= 150
        assert 150 <= len(words["longDescription"]) <= 10_000
        assert words["features"]


def test_a_decision_is_one_page_with_one_line_to_quote(root):
    pages = sorted((root / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(len(pages)))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^> .+$", text, flags=re.MULTILINE)) == 1, page.name
        assert len(text.splitlines()) <= 60, page.name


def test_the_architecture_page_draws_every_room_and_none_that_is_not_there(root):
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = Counter(
        re.findall(r"\b[a-z]{2,}\b", re.search(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE).group(1))
    )
    house = root / "src" / "mediation"
    floors = {path.parent.name for path in house.glob("*/__init__.py")}
    rooms = {path.stem for floor in floors for path in (house / floor).glob("*.py")} - {"__init__"}
    rooms |= {path.parent.name for path in house.glob("*/*/__init__.py")} | {"cli"}
    labels = {"http", "service", "store", "gateway", "domain", "commandline"}
    labels |= {"the", "counter", "corridor", "memory", "doors", "law"}
    assert set(drawn) - labels == rooms
    assert {name for name in rooms if drawn[name] != 1} == set()


def test_every_test_that_the_pages_name_is_there(root):
    named = {
        (path, name)
        for page in (root / "docs").rglob("*.md")
        for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text("utf-8"))
    }
    assert named
    assert {
        f"{path}::{name}"
        for path, name in named
        if not (root / path).exists()
        or (name and not re.search(rf"^(?:async )?def {name}\(", (root / path).read_text("utf-8"), re.MULTILINE))
    } == set()
