"""The bundle of a case over the API: for whoever sees the case, verified by a shell where they are."""

import time

import pytest
from tests.http.county import NOBODY, bare, file_one
from tests.unpacked import unpack, verify_sh


@pytest.fixture
def case(county):
    with county.client("wang") as wang:
        return file_one(wang).json()["case"]


def bundle_of(client, case):
    """The answer, once the case is logged."""
    for _ in range(200):
        answer = client.get(f"/v1/cases/{case}/bundle")
        if answer.status_code != 409:
            return answer
        assert answer.json()["code"] == "not_yet_logged"
        time.sleep(0.05)
    raise AssertionError(answer.text)


@pytest.mark.parametrize("who", ["wang", "audit"])
def test_a_bundle_taken_over_the_api_verifies_with_the_key_that_anybody_can_fetch(county, case, tmp_path, who):
    with county.client(who) as client:
        answer = bundle_of(client, case)
        vkey = client.get("/v1/log/vkey").text.split()[0]
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["content-disposition"] == f'attachment; filename="{case}.zip"'
    assert answer.headers["cache-control"] == "private, no-cache"
    folder = unpack(answer.content, tmp_path / "case")
    done = verify_sh(folder, vkey)
    assert (done.returncode, f"case {case}: whole, in order, unaltered; events: 1\n" in done.stdout) == (0, True), (
        done.stdout
    )
    assert not (folder / "disclosures").exists()


def test_to_whoever_does_not_see_the_case_its_bundle_is_not_there(county, case):
    with county.client("zhao") as zhao:
        absent = bare(zhao.get(f"/v1/cases/{NOBODY}/bundle"))
        assert bare(zhao.get(f"/v1/cases/{case}/bundle")) == absent
    assert absent[0] == 404


def test_a_bundle_takes_no_query(county, case):
    with county.client("wang") as wang:
        assert wang.get(f"/v1/cases/{case}/bundle?disclosures=true").status_code == 422
