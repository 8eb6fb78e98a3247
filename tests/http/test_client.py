"""The contract as a file: it is what the app says, and a client generated from it works."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.http.county import DISPUTE, County, fresh

from mediation.http.app import document_text

CONTRACT = Path(__file__).parents[2] / "openapi" / "mediation.json"


def test_the_committed_contract_is_what_the_app_says():
    assert CONTRACT.read_text("utf-8") == document_text(), "mediation openapi -o openapi/mediation.json"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("client")
    config = folder / "config.yml"
    config.write_text("post_hooks: []\ncontent_type_overrides:\n  application/zip: application/octet-stream\n")
    program = shutil.which("openapi-python-client", path=Path(sys.executable).parent)
    assert program
    where = folder / "mediation_client"
    words = [program, "generate", "--path", str(CONTRACT), "--meta", "none", "--output-path", str(where)]
    done = subprocess.run(
        [*words, "--config", str(config), "--fail-on-warning"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    try:
        yield lambda name: importlib.import_module(f"mediation_client.{name}")
    finally:
        sys.path.remove(str(folder))


def test_a_generated_client_files_reads_steps_and_lists(county: County, generated):
    models: ModuleType = generated("models")
    with generated("client").AuthenticatedClient(base_url=county.address, token=county.token("wang")) as wang:
        dispute = models.File.from_dict(DISPUTE | {"action": "file"})
        filed = generated("api.cases.file_case").sync_detailed(client=wang, body=dispute, idempotency_key=fresh())
        assert filed.status_code == 201
        assert isinstance(filed.parsed, models.Event)
        assert filed.parsed.label_zh == "登记"
        case_id = str(filed.parsed.case)

        case = generated("api.cases.show_case").sync(case_id, client=wang)
        assert isinstance(case, models.Case)
        assert case.parties[0].name == "张**"

        note = models.Note(action="note", kind=models.NoteKind.FACT, text="到场")
        taken = generated("api.cases.take_step").sync_detailed(
            case_id, client=wang, body=note, if_match='"1"', idempotency_key=fresh()
        )
        assert taken.status_code == 201
        stale = generated("api.cases.take_step").sync(
            case_id, client=wang, body=note, if_match='"1"', idempotency_key=fresh()
        )
        assert isinstance(stale, models.Problem)
        assert stale.code == "stale_version"

        history = generated("api.history.list_case_events").sync(case_id, client=wang)
        assert [event.action for event in history.items] == ["file", "note"]
        offers = generated("api.cases.list_actions").sync(case_id, client=wang)
        assert {offer.action.value for offer in offers.items if offer.available} >= {"accept", "note"}
        found = generated("api.cases.list_cases").sync(client=wang, category=models.Category.NEIGHBOUR)
        assert case_id in {str(line.id) for line in found.items}
