"""What the settings take for a witness, and what a witness's commands refuse."""

import pytest
from tests.witness.bystanders import mediation

from mediation.domain.notes import SignatureKind, encode64, new_signer
from mediation.settings import BadSetting, Settings

LOG = new_signer("log.example/events", b"l" * 32).verifier.text
COURT, OFFICE = (
    new_signer(f"{name}.example/1", name.encode().ljust(32), SignatureKind.COSIGNATURE).verifier.text
    for name in ("court", "office")
)
AGAIN = new_signer("again.example/1", b"court".ljust(32), SignatureKind.COSIGNATURE).verifier.text


def load(witnesses, quorum):
    return Settings.load(witnesses=witnesses, quorum=quorum)


def test_witnesses_are_pairs_and_a_quorum_is_at_most_as_many():
    both = load(f"{COURT} https://court.example/w/, {OFFICE} http://127.0.0.1:8010", 2)
    assert both.witnesses == ((COURT, "https://court.example/w/"), (OFFICE, "http://127.0.0.1:8010"))
    assert load("", 0).witnesses == ()


@pytest.mark.parametrize(
    ("witnesses", "quorum", "said"),
    [
        (COURT, 0, "a vkey, a space and an address"),
        (f"{COURT} http://court.example", 0, "no https address"),
        (f"{COURT} https://me:secret@court.example", 0, "no https address"),
        (f"{COURT} https://court.example?x=1", 0, "no https address"),
        (f"{LOG} https://court.example", 0, "a log's"),
        (f"{COURT[:-2]}AA https://court.example", 0, COURT[:20]),
        (f"{COURT} https://a.example,{COURT} https://b.example", 0, "one name or key"),
        (f"{COURT} https://a.example,{AGAIN} https://b.example", 0, "one name or key"),
        (f"{COURT} https://a.example", 2, "at most the number of witnesses, 1"),
        ("", 1, "at most the number of witnesses, 0"),
        ("", -1, "greater than or equal to 0"),
    ],
)
def test_what_is_no_witness_or_no_quorum_is_named_in_both_languages(witnesses, quorum, said):
    with pytest.raises(BadSetting) as bad:
        load(witnesses, quorum)
    [reason] = bad.value.reasons
    assert said in reason.en
    assert "不可用" in reason.zh


def test_a_witness_has_a_key_of_its_own_that_only_it_may_read(tmp_path):
    key = tmp_path / "court.key"
    made = mediation("witness", "new", "court.example/1", "-o", key)
    assert made.stdout.startswith("court.example/1+")
    assert key.stat().st_mode & 0o777 == 0o600
    held = key.read_text()
    assert mediation("witness", "new", "w.example/1", "-o", tmp_path / "no" / "w.key", check=False).returncode == 1
    assert not (tmp_path / "no").exists()
    assert mediation("witness", "new", "court.example/1", "-o", key, check=False).returncode == 1
    assert key.read_text() == held
    serve = "witness", "serve", "--port", "1"
    for words, said in (
        (("--key", tmp_path / "none", "--log", LOG), "There is no key file"),
        (("--key", key), "--log gives the vkey"),
        (("--key", key, "--log", COURT), "not the vkey of a log"),
        (("--key", key, "--log", f"{LOG}x"), f"A key cannot be used: {LOG}x: "),
        (("--key", key, "--log", "county.vkeys"), "county.vkeys is no vkey, nor a file of them"),
    ):
        refused = mediation(*serve, *words, check=False)
        assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr
    named = mediation("witness", "new", "法院/1", "-o", tmp_path / "named.key").stdout.strip()
    assert mediation("witness", "status", "--key", tmp_path / "named.key").stdout.startswith(named)
    (tmp_path / "named.key.memory").rmdir()
    key.chmod(0o644)
    assert "chmod 600" in mediation(*serve, "--key", key, "--log", LOG, check=False).stderr
    assert not list(tmp_path.glob("*.memory"))


def test_status_says_what_was_cosigned(witness, book):
    assert witness.add(book.addition(0, 7))[0] == 200
    said = mediation("witness", "status", "--key", witness.key).stdout
    assert f"{book.signer.name}  7  {encode64(book.checkpoint(7).root)}" in said
