"""A witness as logs and monitors meet it: the real command, over HTTP."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mediation.domain.checkpoints import Addition, Checkpoint, open_checkpoint
from mediation.domain.notes import open_note, parse_verifier_key, sign
from mediation.gateway.remembrance import BadMemory, Remembrance, origin_hash
from mediation.http.witness import Witness


def known(witness, book):
    return [book.signer.verifier, parse_verifier_key(witness.vkey)]


def test_every_answer_is_the_one_the_specification_names(witness, book):
    status, headers, line = witness.add(book.addition(0, 5))
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    cosigned = open_note(book.note(5) + line.decode(), known(witness, book))
    assert [one.name for one in cosigned.signatures] == ["log.example/events", "witness.example/w1"]

    status, headers, size = witness.add(book.addition(0, 9))
    assert (status, headers["Content-Type"], size) == (409, "text/x.tlog.size", b"5\n")
    assert witness.add(book.addition(5, 9))[0] == 200
    assert witness.add(book.addition(9, 9))[0] == 200
    assert witness.add(book.addition(5, 9))[0] == 409

    assert witness.add(b"")[0] == 400
    assert witness.add(b"old 09\n\n" + book.note(12).encode())[0] == 400
    assert witness.add(book.addition(12, 10))[0] == 400
    stranger = type(book)("other.example/log")
    assert witness.add(stranger.addition(0, 5))[0] == 404
    forger = type(book)(key="another")
    assert witness.add(forger.addition(9, 12))[0] == 403
    fork = type(book)(twist="!")
    assert witness.add(Addition(9, (), book.note(9)).text.encode())[0] == 200
    assert witness.add(fork.addition(9, 9))[0] == 422
    assert witness.add(fork.addition(9, 12))[0] == 422
    assert witness.add(Addition(9, (), book.note(12)).text.encode())[0] == 422
    assert witness.ask("GET", "/add-checkpoint")[0] == 405

    status, _, note = witness.newest(book.signer.name)
    assert (status, open_checkpoint(note, known(witness, book))[0]) == (200, book.checkpoint(9))
    assert len(open_checkpoint(note, known(witness, book))[1].signatures) == 2


def test_the_first_checkpoint_needs_no_proof_and_the_empty_tree_its_own_root(witness, book):
    proved = Addition(0, (b"x" * 32,), book.note(5)).text.encode()
    assert witness.add(proved)[0] == 422
    wrong = sign(Checkpoint(book.signer.name, 0, b"x" * 32).text, book.signer)
    assert witness.add(Addition(0, (), wrong).text.encode())[0] == 422
    assert witness.newest(book.signer.name)[0] == 404
    assert witness.add(book.addition(0, 0))[0] == 200
    assert witness.add(book.addition(0, 7))[0] == 200


def test_a_monitor_is_told_of_known_logs_alone(witness, book):
    assert witness.newest(book.signer.name)[0] == 404
    assert witness.newest("other.example/log")[0] == 404
    assert witness.ask("GET", "/..%2f..%2fetc%2fpasswd/checkpoint")[0] == 404


def test_a_request_of_more_than_64_kib_is_refused(witness, book):
    assert witness.add(book.addition(0, 5) + b"x" * 65_536)[0] == 413
    assert witness.add(book.addition(0, 5))[0] == 200


def test_of_many_requests_from_one_size_one_is_cosigned_and_nothing_is_rolled_back(witness, book):
    """The race of the specification: a smaller size must never be recorded after a larger one."""
    size = 0
    for _ in range(4):
        together = threading.Barrier(8)

        def one(to, size=size, together=together):
            together.wait()
            return witness.add(book.addition(size, to))[0]

        with ThreadPoolExecutor(8) as many:
            statuses = list(many.map(one, range(size + 8, size, -1)))
        assert sorted(statuses) == [200] + [409] * 7
        size += 8 - statuses.index(200)
        assert witness.add(book.addition(99, 0))[0] == 400
        assert witness.add(book.addition(size, size))[0] == 200


def test_a_witness_killed_at_any_moment_remembers_what_it_has_answered(witness, book):
    size = 0
    for _ in range(4):
        answered = []

        def ask(size=size, answered=answered):
            try:
                for to in range(size + 1, len(book.leaves) + 1):
                    assert witness.add(book.addition(to - 1, to))[0] == 200
                    answered.append(to)
            except OSError:
                pass

        asking = threading.Thread(target=ask)
        asking.start()
        while len(answered) < 3:
            time.sleep(0.01)
        witness.kill()
        asking.join()
        witness.start()
        status, headers, said = witness.add(book.addition(0, 40))
        assert status == 409
        assert headers["Content-Type"] == "text/x.tlog.size"
        size = int(said)
        assert size - answered[-1] in {0, 1}


def test_two_processes_over_one_memory_do_not_roll_each_other_back(tmp_path, book, cosigner):
    logs = {book.signer.name: [book.signer.verifier]}
    sides = [Witness(cosigner, logs, Remembrance(tmp_path / "memory")) for _ in range(2)]
    together = threading.Barrier(2)

    def one(place):
        together.wait()
        return [sides[place].answer(book.addition(size, size + 1 + place))[0].status for size in range(30)]

    with ThreadPoolExecutor(2) as many:
        first, second = many.map(one, range(2))
    granted = [(size, size + 1) for size in range(30) if first[size] == 200]
    granted += [(size, size + 2) for size in range(30) if second[size] == 200]
    at = 0
    for old, new in sorted(granted):
        assert old == at  # each from where the one before ended: one line of sizes, and no two from one size
        at = new


def test_a_memory_of_another_s_making_is_refused_not_forgotten(tmp_path, book, cosigner):
    folder = tmp_path / "memory"
    mine = Witness(cosigner, {book.signer.name: [book.signer.verifier]}, Remembrance(folder))
    assert mine.answer(book.addition(0, 5))[0].status == 200
    stranger = type(book)(key="another")
    other = Witness(type(cosigner)("witness.example/w2", cosigner.kind, b"o" * 32), mine.logs, Remembrance(folder))
    kept = next(folder.glob("*.checkpoint")).read_text()
    assert mine.remembered(origin_hash(book.signer.name)) == kept
    with pytest.raises(BadMemory):  # two keys over one folder
        other.answer(book.addition(5, 9))
    another_log = type(book)("other.example/log")
    beside = Witness(
        cosigner, {another_log.signer.name: [another_log.signer.verifier]}, Remembrance(tmp_path / "beside")
    )
    assert beside.answer(another_log.addition(0, 5))[0].status == 200
    of_another_log = next((tmp_path / "beside").glob("*.checkpoint")).read_text()
    for spoilt in (book.note(3), of_another_log, stranger.note(3), "", "x"):
        next(folder.glob("*.checkpoint")).write_text(spoilt)
        with pytest.raises(BadMemory):
            mine.answer(book.addition(5, 9))
        with pytest.raises(BadMemory):
            mine.remembered(origin_hash(book.signer.name))


def test_only_two_signed_roots_of_one_size_contradict(tmp_path, book, cosigner, caplog: pytest.LogCaptureFixture):
    """Whoever has no key can send what is public with a proof that is none: that frames nobody."""
    mine = Witness(cosigner, {book.signer.name: [book.signer.verifier]}, Remembrance(tmp_path / "memory"))
    mine.answer(book.addition(0, 9))
    for garbage in (Addition(9, (b"x" * 32,), book.note(9)), Addition(9, (b"x" * 32,), book.note(12))):
        assert mine.answer(garbage.text.encode())[0].status == 422
    fork = type(book)(twist="!")
    assert mine.answer(fork.addition(9, 12))[0].status == 422
    assert not [one for one in caplog.records if one.levelname == "WARNING"]
    for old, status in ((9, 422), (3, 409)):  # what it says of its own size matters nothing
        caplog.clear()
        assert mine.answer(fork.addition(old, 9))[0].status == status
        (said,) = caplog.records
        assert (said.levelname, repr(fork.note(9)) in said.message) == ("WARNING", True)
        assert repr(mine.remembered(origin_hash(book.signer.name))) in said.message
