"""The ledger of erasures grows a line at a time, and a crash in the middle of one costs no other."""

import pytest

from mediation.gateway.ledger import BadLedger, Ledger, Line

LINE = Line("01a200d4-a2f9-737b-a87c-f2d65cf36f49", 1, "ab" * 32, "unlawful", "2026-11-21T08:00:00.000000Z")


def test_lines_are_kept_in_order_for_their_owner_alone(tmp_path):
    ledger = Ledger(tmp_path / "data" / "erasures.jsonl")
    assert ledger.lines() == ((), 0)
    later = Line(LINE.case, 0, "cd" * 32, "court_order", "2026-11-22T08:00:00.000000Z")
    ledger.write(LINE)
    ledger.write(later)
    assert ledger.lines() == ((LINE, later), 0)
    assert ledger.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_was_torn_off_is_told_and_the_next_stands_by_itself(tmp_path, cut):
    ledger = Ledger(tmp_path / "erasures.jsonl")
    ledger.write(LINE)
    ledger.write(LINE)
    ledger.path.write_bytes(ledger.path.read_bytes()[:-cut])
    ledger.write(LINE)
    read, torn = ledger.lines()
    assert set(read) == {LINE}
    assert (len(read), torn) == ((3, 0) if cut == 1 else (2, 1))


def test_a_line_that_names_no_case_is_torn(tmp_path):
    ledger = Ledger(tmp_path / "erasures.jsonl")
    ledger.path.write_text('{"case":"x","subject":1,"key":"","ground":"","at":""}\n')
    assert ledger.lines() == ((), 1)


def test_a_ledger_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "erasures.jsonl").mkdir()
    for use in (lambda ledger: ledger.write(LINE), Ledger.lines):
        with pytest.raises(BadLedger, match=r"erasures\.jsonl"):
            use(Ledger(tmp_path / "erasures.jsonl"))
