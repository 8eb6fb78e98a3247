"""Pages made from the tables say what the tables say."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_generated_page_is_stale_and_the_diagram_shows_every_move() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.stale() == []
