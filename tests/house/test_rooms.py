"""The rooms: what a file may be called, how long it may grow, and that every room has its contract."""

import ast
from collections import Counter
from pathlib import Path

LONGEST_FILE = 400
LONGEST_FUNCTION = 70
# The tables of the law: a row each, as long as the law is.
TABLES = {"process.py", "vocabulary.py", "commands.py", "access.py"}
NO_ROOMS = {"utils", "util", "common", "helpers", "helper", "core", "base", "manager", "managers", "models", "misc"}


def python(texts):
    return {name: text for name, text in texts.items() if name.endswith(".py")}


def test_no_python_file_is_longer_than_a_reader_s_patience(texts):
    long = {
        name: lines
        for name, text in python(texts).items()
        if (lines := text.count("\n")) >= LONGEST_FILE and Path(name).name not in TABLES
    }
    assert long == {}


def test_no_function_is_longer_than_two_screens(texts):
    long = {
        f"{name}:{node.name}": length
        for name, text in python(texts).items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) >= LONGEST_FUNCTION
    }
    assert long == {}


def test_no_room_is_named_for_not_knowing_what_it_holds(texts):
    named = [name for name in texts if NO_ROOMS & {Path(part).stem for part in Path(name).parts}]
    assert named == []


def test_no_file_name_occurs_twice(texts):
    names = Counter(Path(name).name for name in python(texts) if name.startswith("src/"))
    del names["__init__.py"]
    assert [name for name, times in names.items() if times > 1] == []


def test_every_room_has_an_exhaustive_contract(root, project):
    rooms = {
        ".".join(path.parent.relative_to(root / "src").parts)
        for path in (root / "src" / "mediation").glob("*/__init__.py")
    }
    contracts = project["tool"]["importlinter"]["contracts"]
    held = {c["containers"][0] for c in contracts if c["type"] == "layers" and c["exhaustive"]}
    assert rooms | {"mediation"} <= held


def test_a_switched_off_check_says_why(texts):
    """`# noqa: X  why` and `# type: ignore[x]  # why`: a reader must not have to guess."""
    silent = []
    for name, text in python(texts).items():
        for number, line in enumerate(text.splitlines(), 1):
            for mark in ("# noqa", "# type: ignore"):
                _, found, rest = line.partition(mark)
                words = rest.replace("#", " ").replace(":", " ").split()
                if found and name != "tests/house/test_rooms.py" and not any(word.islower() for word in words[1:]):
                    silent.append(f"{name}:{number}")
    assert silent == []
