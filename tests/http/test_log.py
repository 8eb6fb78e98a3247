"""The signed logs over HTTP: read by a program that is not ours, and entries only by whoever may follow them."""

import asyncio
import time
from collections.abc import Iterator

import httpx2
import psycopg
import pytest
from tests.http.county import County, bare, file_one, step
from tests.whole import whole
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import InclusionProof

from mediation.domain.checkpoints import open_checkpoint, parse_proof
from mediation.domain.errors import BadProof
from mediation.domain.merkle import leaf_hash
from mediation.domain.notes import Verifier, parse_verifier_key
from mediation.domain.tiles import entries_of
from mediation.settings import Urls
from mediation.store.database import connect
from mediation.store.logbook import Logbook

PAPERS = [{"kind": kind, "sha256": "0" * 64, "ref": f"file/{kind}"} for kind in ("application", "rights_notice")]


class Tiles:
    """What is served under a prefix, as tlog-scales reads it."""

    def __init__(self, client: httpx2.Client, prefix: str) -> None:
        self.client, self.prefix = client, prefix

    def get(self, *path: str) -> bytes | None:
        answer = self.client.get("/".join((self.prefix, *path)))
        return answer.content if answer.status_code == 200 else None


def wait(client: httpx2.Client, path: str) -> httpx2.Response:
    for _ in range(200):
        answer = client.get(path)
        if answer.status_code == 200:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{path} answers {answer.status_code}: {answer.text}")


def logged(client: httpx2.Client, event: str) -> httpx2.Response:
    """The proof of an event, as soon as there is one."""
    return wait(client, f"/v1/events/{event}/proof")


def verifiers(client: httpx2.Client, prefix: str = "/v1/log") -> list[Verifier]:
    return [parse_verifier_key(line) for line in client.get(f"{prefix}/vkey").text.splitlines()]


def size_of(client: httpx2.Client, prefix: str = "/v1/log") -> int:
    checkpoint, _ = open_checkpoint(client.get(f"{prefix}/checkpoint").text, verifiers(client, prefix))
    return checkpoint.size


@pytest.fixture(scope="module")
def events(county: County) -> list[str]:
    """The events of a case with more of them than a tile has hashes, all of them logged."""
    with county.client("wang") as wang:
        filed = file_one(wang)
        place, made = filed.headers["location"], [filed.json()["event"]]
        for version in range(1, 301):
            answer = step(wang, place, version=version)
            assert answer.status_code == 201, answer.text
            made.append(answer.json()["event"])
        asked = {"id_number": "150599199001011231", "purpose": "duplicate"}
        assert wang.post("/v1/persons/search", json=asked).status_code == 200
        logged(wang, made[-1])
    return made


@pytest.fixture(scope="module")
def anybody(county: County, events: list[str]) -> Iterator[httpx2.Client]:
    """Somebody without a token."""
    with county.client(None) as client:
        wait(client, "/v1/access-log/checkpoint")
        yield client


@pytest.fixture(scope="module")
def auditor(county: County, events: list[str]) -> Iterator[httpx2.Client]:
    with county.client("audit") as client:
        yield client


@pytest.mark.parametrize("prefix", ["/v1/log", "/v1/access-log", "/v1/log/epochs/1"])
def test_another_program_makes_the_signed_root_of_the_tiles_that_anybody_reads(anybody, prefix):
    reader = TilesReader(Tiles(anybody, prefix))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(anybody.get(f"{prefix}/vkey").text.splitlines()[0]))
    assert reader.calculate_root_hash() == checkpoint.root_hash


def test_another_program_finds_every_kind_of_event_included_where_our_proof_says(county, anybody, events):
    reader = TilesReader(Tiles(anybody, "/v1/log"))
    with county.client("wang") as wang:
        for event in (events[0], events[1], events[254], events[255], events[256], events[-1]):
            proof = parse_proof(wang.get(f"/v1/events/{event}/proof").text)
            data = wang.get(f"/v1/events/{event}", headers={"Accept": "application/x-ndjson"}).content[:-1]
            checkpoint = proof.verify(leaf_hash(data), verifiers(anybody))
            theirs = InclusionProof(proof.index, checkpoint.size, list(proof.hashes))
            theirs.check(leaf_hash(data), checkpoint.root)
            reader.set_size(checkpoint.size)
            assert reader.get_inclusion_proof(proof.index, checkpoint.size).node_hashes == list(proof.hashes)
            with pytest.raises(BadProof):
                proof.verify(leaf_hash(data[:-1] + b" "), verifiers(anybody))


async def consistency(reader_url: str, origin: str, size1: int, size2: int) -> list[bytes]:
    async with await connect(reader_url) as connection:
        return await Logbook(connection).consistency(origin, size1, size2)


def test_another_program_finds_each_checkpoint_to_grow_out_of_the_one_before(county, anybody, events):
    reader = TilesReader(Tiles(anybody, "/v1/log"))
    first = reader.get_checkpoint()
    with county.client("wang") as wang:
        logged(wang, file_one(wang).json()["event"])
    second = reader.get_checkpoint()
    assert second.size > first.size
    theirs = reader.get_consistency_proof(first.size, second.size)
    theirs.check(first.root_hash, second.root_hash)
    assert asyncio.run(consistency(urls(county).reader, first.origin, first.size, second.size)) == theirs.node_hashes


def test_a_checkpoint_is_text_that_is_not_kept_and_known_again_by_its_tag(anybody):
    answer = anybody.get("/v1/log/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=1"
    again = anybody.get("/v1/log/checkpoint", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "set-cookie" not in answer.headers


def test_a_tile_is_bytes_to_be_kept_for_ever_by_anybody(anybody):
    answer = anybody.get("/v1/log/tile/0/000")
    assert (answer.status_code, len(answer.content)) == (200, 8192)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "vary" not in answer.headers


def test_a_partial_tile_of_every_checkpoint_stays_and_one_that_none_needed_is_not_there(county, anybody):
    with psycopg.connect(whole(urls(county))) as everything:
        rows = everything.execute(
            "SELECT size FROM log_checkpoints JOIN log_epochs USING (origin) WHERE log = 'events' ORDER BY size"
        )
        sizes = {size for (size,) in rows.fetchall()}
    needed = {size for size in sizes if size < 256}
    assert needed
    for width in range(1, 256):
        answer = anybody.get(f"/v1/log/tile/0/000.p/{width}")
        assert answer.status_code == (200 if width in needed else 404), width
        assert answer.status_code == 404 or len(answer.content) == 32 * width
    assert anybody.get("/v1/log/tile/1/000.p/1").status_code == 200


def urls(county: County) -> Urls:
    return county.settings.given_urls("app", "owner", "reader", "log")


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/0", "tile/00/000", "tile/0/x000/000", "tile/0/999",
        "tile/64/000", "tile/-1/000", "tile/0/000.p", "tile/0/000.p/", "tile/0/000/", "tile/7/000", "tile/63/x999/x999/999",
        "tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/%30%30%30%00", "tile/0/٠٠٠", "tile/0", "tile/", "", "nothing",
        "epochs/2/checkpoint", "epochs/01/checkpoint", "epochs/0/checkpoint", "epochs/1/", "epochs/1/other", "epochs/x/vkey",
        f"epochs/{'9' * 5000}/checkpoint", "epochs/1/tile/0", "epochs/1/tile/0/000.p/0",
    ],
)  # fmt: skip
def test_a_path_of_no_tile_leads_nowhere(anybody, path):
    for prefix in ("/v1/log", "/v1/access-log"):
        assert anybody.get(f"{prefix}/{path}").status_code == 404, path


@pytest.mark.parametrize(
    "path",
    ["entries/000", "tile/entries/000", "epochs/1/tile/entries/000", "epochs/1/entries/000", "tile/%65ntries/000"],
)
def test_what_was_logged_needs_a_token(anybody, path):
    for prefix in ("/v1/log", "/v1/access-log"):
        assert anybody.get(f"{prefix}/{path}").status_code == 401, path


def test_a_tile_that_is_not_there_is_nobody_s_attempt(county, anybody):
    answer = anybody.get("/v1/log/tile/0/999")
    with county.client("zhao") as zhao:
        tried = zhao.get("/v1/log/tile/entries/000")
    with psycopg.connect(whole(urls(county)), autocommit=True) as everything:
        query = "SELECT request::text FROM attempts WHERE request = ANY (%s::uuid[])"
        asked = [one.headers["x-request-id"] for one in (answer, tried)]
        for _ in range(100):
            if found := everything.execute(query, (asked,)).fetchall():
                break
            time.sleep(0.05)
    assert found == [(asked[1],)]


def test_the_public_part_takes_no_query_and_nothing_but_reading(anybody):
    assert anybody.get("/v1/log/checkpoint?after=1").status_code == 422
    assert anybody.post("/v1/log/checkpoint").status_code == 401


def test_an_auditor_above_every_body_reads_the_bytes_that_were_hashed(anybody, auditor, events):
    reader = TilesReader(Tiles(auditor, "/v1/log"))
    size = reader.get_checkpoint().size
    for index in (0, 1, 255, 256, size - 1):
        tile, at = divmod(index, 256)
        assert leaf_hash(reader.get_entry(index)) == reader._get_from_tile(0, tile, at)
    answer = auditor.get("/v1/log/tile/entries/000")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "Authorization" in answer.headers["vary"]
    for same in ("/v1/log/entries/000", "/v1/log/epochs/1/tile/entries/000", "/v1/log/epochs/1/entries/000"):
        assert auditor.get(same).content == answer.content
    assert any(event.encode() in entry for event in events for entry in entries_of(answer.content))


def test_a_bundle_is_compressed_for_whoever_takes_it_so(auditor):
    path, coded = "/v1/log/tile/entries/000", {}
    for said, coding in (
        ("gzip", "gzip"),
        ("br, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("br", None),
    ):
        answer = auditor.get(path, headers={"Accept-Encoding": said})
        assert answer.headers.get("content-encoding") == coding, said
        assert "Accept-Encoding" in answer.headers["vary"]
        coded[coding] = answer
    assert coded["gzip"].content == coded[None].content
    assert int(coded["gzip"].headers["content-length"]) < int(coded[None].headers["content-length"]) / 2


def test_who_was_shown_what_is_an_entry_of_a_log_of_its_own(anybody, auditor, county):
    size = size_of(anybody, "/v1/access-log")
    bundle = auditor.get(f"/v1/access-log/tile/entries/000.p/{size}")
    assert auditor.get(f"/v1/access-log/entries/000.p/{size}").content == bundle.content
    assert anybody.get(f"/v1/access-log/entries/000.p/{size}").status_code == 401
    assert bundle.status_code == 200, bundle.text
    entries = entries_of(bundle.content)
    assert len(entries) == size
    hashes = b"".join(map(leaf_hash, entries))
    assert hashes == anybody.get(f"/v1/access-log/tile/0/000.p/{size}").content
    assert b'"kind":"search"' in entries[0]
    assert b"150599199001011231" not in bundle.content
    assert anybody.get("/v1/access-log/vkey").text != anybody.get("/v1/log/vkey").text


@pytest.mark.parametrize("person", ["wang", "li", "judge", "idle"])
def test_to_anybody_else_what_was_logged_is_not_there_to_the_byte(county, events, person):
    with county.client(person) as client:
        absent = bare(client.get("/v1/cases/00000000-0000-7000-8000-000000000000"))
        for path in ("000", "000.p/7", "999", "nonsense"):
            for prefix in (
                "/v1/log/tile/entries",
                "/v1/log/entries",
                "/v1/access-log/tile/entries",
                "/v1/log/epochs/1/entries",
            ):
                assert bare(client.get(f"{prefix}/{path}")) == absent, (prefix, path)


def test_the_proof_of_an_event_is_for_whoever_sees_the_event(county, events):
    with county.client("zhao") as zhao, county.client("wang") as wang:
        absent = bare(zhao.get("/v1/events/00000000-0000-7000-8000-000000000000/proof"))
        assert bare(zhao.get(f"/v1/events/{events[0]}/proof")) == absent
        answer = wang.get(f"/v1/events/{events[0]}/proof")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.text.startswith("c2sp.org/tlog-proof@v1\nindex ")


def test_before_it_is_published_an_event_has_no_proof_yet_and_that_is_said(county, events):
    with county.client("wang", Accept_Language="en") as wang, psycopg.connect(whole(urls(county))) as sequencer:
        sequencer.execute(
            "SELECT pg_advisory_xact_lock(hashtext('mediation.integrate'))"
        )  # nobody integrates meanwhile
        event = file_one(wang).json()["event"]
        answer = wang.get(f"/v1/events/{event}/proof")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_yet_logged")
        assert "In a few seconds" in answer.json()["detail"]
        sequencer.rollback()
        assert logged(wang, event).status_code == 200


# ── hand-offs to a court ──


@pytest.fixture(scope="module")
def sued(county: County) -> str:
    """A case that its committee has handed to the court."""
    with county.client("wang") as wang:
        place = file_one(wang).headers["location"]
        papers = [{"kind": kind, "sha256": "0" * 64, "ref": "x"} for kind in ("registration", "identity", "end_report")]
        assert step(wang, place, {"action": "accept"}).status_code == 201
        ended = step(wang, place, {"action": "fail", "ground": "no_agreement", "documents": papers})
        assert ended.status_code == 201, ended.text
        refer = {"action": "refer", "link_up": "suit", "to_org": county.org("K"), "on_behalf_of": [1], "consents": [1]}
        handed = step(wang, place, refer | {"documents": PAPERS})
        assert handed.status_code == 201, handed.text
        logged(wang, handed.json()["event"])
    return place


def test_a_court_is_handed_the_event_that_offered_it_the_case_with_its_proof(county, anybody, sued):
    with county.client("judge") as judge:
        (item,) = judge.get("/v1/handoffs?box=in").json()["items"]
        case = judge.get(sued)
        (handoff,) = case.json()["handoffs"]
        offering = judge.get(f"/v1/events/{item['handoff']['evidence']['event']}").json()
    evidence = item["handoff"]["evidence"]
    assert evidence["pending"] is False
    assert offering["at"] == item["handoff"]["offered_at"]
    assert offering["action"] == "refer"
    assert leaf_hash(evidence["bytes"].encode()).hex() == offering["hash"]
    parse_proof(evidence["proof"]).verify(leaf_hash(evidence["bytes"].encode()), verifiers(anybody))
    assert handoff["evidence"]["event"] == evidence["event"]


def test_nobody_but_the_court_is_handed_it(county, sued):
    for person in ("wang", "audit"):
        with county.client(person) as client:
            assert "evidence" not in client.get(sued).json()["handoffs"][0]
    with county.client("wang") as wang:
        (item,) = wang.get("/v1/handoffs?box=out").json()["items"]
    assert "evidence" not in item["handoff"]


def test_a_court_that_comes_before_the_log_is_told_that_it_is_pending_and_reads_anew(county, sued):
    with county.client("wang") as wang, county.client("judge") as judge:
        place = file_one(wang).headers["location"]
        papers = [{"kind": kind, "sha256": "0" * 64, "ref": "x"} for kind in ("registration", "identity", "end_report")]
        assert step(wang, place, {"action": "accept"}).status_code == 201
        assert step(wang, place, {"action": "fail", "ground": "no_agreement", "documents": papers}).status_code == 201
        with psycopg.connect(whole(urls(county))) as sequencer:
            sequencer.execute("SELECT pg_advisory_xact_lock(hashtext('mediation.integrate'))")
            refer = {
                "action": "refer",
                "link_up": "suit",
                "to_org": county.org("K"),
                "on_behalf_of": [1],
                "consents": [1],
            }
            handed = step(wang, place, refer | {"documents": PAPERS}).json()["event"]
            early = judge.get(place)
            assert [each["evidence"] for each in early.json()["handoffs"]] == [{"pending": True}]
            waiting = [
                i for i in judge.get("/v1/handoffs?box=in").json()["items"] if i["handoff"]["evidence"]["pending"]
            ]
            assert len(waiting) == 1
        logged(wang, handed)
        later = judge.get(place, headers={"If-None-Match": early.headers["etag"]})
        assert later.status_code == 200
        assert later.json()["handoffs"][0]["evidence"]["event"] == handed
