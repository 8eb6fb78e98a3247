"""The ledger of erasures grows a line at a time, and a crash in the middle of one costs no other."""

import resource
from contextlib import contextmanager

import pytest

from mediation.gateway.ledger import BadLedger, Ledger, Line

LINE = Line("01a200d4-a2f9-737b-a87c-f2d65cf36f49", 1, "ab" * 32, "unlawful", "2026-11-21T08:00:00.000000Z")


def test_lines_are_kept_in_order_for_their_owner_alone(tmp_path):
    ledger = Ledger(tmp_path / "data" / "erasures.jsonl")
    assert ledger.lines() == ((), 0, False)
    later = Line(LINE.case, 0, "cd" * 32, "court_order", "2026-11-22T08:00:00.000000Z")
    ledger.write(LINE)
    ledger.write(later)
    assert ledger.lines() == ((LINE, later), 0, False)
    assert ledger.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_was_torn_off_stands_for_no_erasure_and_the_next_takes_its_place(tmp_path, cut):
    ledger = Ledger(tmp_path / "erasures.jsonl")
    ledger.write(LINE)
    ledger.write(LINE)
    ledger.path.write_bytes(ledger.path.read_bytes()[:-cut])
    assert ledger.lines() == ((LINE,), 0, True)
    ledger.write(LINE)
    assert ledger.lines() == ((LINE, LINE), 0, False)


@pytest.mark.parametrize("text", ['{"case":"x","subject":1,"key":"","ground":"","at":""}', "", "\x00"])
def test_a_whole_line_that_names_no_case_is_damaged_and_stays(tmp_path, text):
    ledger = Ledger(tmp_path / "erasures.jsonl")
    ledger.path.write_text(f"{text}\n")
    assert ledger.lines() == ((), 1, False)
    ledger.write(LINE)
    assert ledger.lines() == ((LINE,), 1, False)


@contextmanager
def room_for(size):
    """No file of this process grows beyond so many bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 60])
def test_a_line_for_which_the_disk_has_no_room_is_refused_and_the_others_stay(tmp_path, room):
    ledger = Ledger(tmp_path / "erasures.jsonl")
    ledger.write(LINE)
    with room_for(ledger.path.stat().st_size + room), pytest.raises(BadLedger, match=r"erasures\.jsonl"):
        ledger.write(LINE)
    assert ledger.lines() == ((LINE,), 0, False)
    ledger.write(LINE)
    assert ledger.lines() == ((LINE, LINE), 0, False)


def test_a_ledger_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "erasures.jsonl").mkdir()
    for use in (lambda ledger: ledger.write(LINE), Ledger.lines):
        with pytest.raises(BadLedger, match=r"erasures\.jsonl"):
            use(Ledger(tmp_path / "erasures.jsonl"))
