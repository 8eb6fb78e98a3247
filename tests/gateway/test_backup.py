"""A backup holds all, and goes back whole or not at all."""

import psycopg
import pytest

from mediation.gateway.backup import BackupFailed, DatabaseNotEmpty, read_backup, write_backup


def rows(url: str) -> list[tuple[str]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT text FROM paper ORDER BY 1").fetchall()


@pytest.fixture
def written(database_urls):
    """A table that only what sees through row-level security can read whole."""
    with psycopg.connect(database_urls.owner) as owner:
        owner.execute("CREATE TABLE paper (text text)")
        owner.execute("INSERT INTO paper VALUES ('调解协议'), ('SET transaction_timeout = 0;')")
        owner.execute("ALTER TABLE paper ENABLE ROW LEVEL SECURITY")
        owner.execute("ALTER TABLE paper FORCE ROW LEVEL SECURITY")
    return database_urls


def test_what_is_written_comes_back_row_by_row_into_an_empty_database(server, written, tmp_path):
    size = write_backup(written.reader, tmp_path / "all.dump")
    assert (tmp_path / "all.dump").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "all.dump").stat().st_size == size
    server.create_database("elsewhere", recreate=True)
    read_backup(server.urls("elsewhere").owner, tmp_path / "all.dump")
    assert rows(server.urls("elsewhere").reader) == [("SET transaction_timeout = 0;",), ("调解协议",)]
    server.drop_database("elsewhere")


def test_a_database_that_is_not_empty_is_replaced_only_by_force(written, tmp_path):
    write_backup(written.reader, tmp_path / "all.dump")
    with psycopg.connect(written.owner) as owner:
        owner.execute("CREATE TABLE later (n int)")
    with pytest.raises(DatabaseNotEmpty):
        read_backup(written.owner, tmp_path / "all.dump")
    read_backup(written.owner, tmp_path / "all.dump", force=True)
    with psycopg.connect(written.owner) as owner:
        assert owner.execute("SELECT to_regclass('later')").fetchone() == (None,)
    assert len(rows(written.reader)) == 2


@pytest.mark.parametrize("cut", [0, 100, 0.9])
def test_a_broken_file_is_refused_and_what_was_there_stays(written, tmp_path, cut):
    write_backup(written.reader, tmp_path / "all.dump")
    whole = (tmp_path / "all.dump").read_bytes()
    (tmp_path / "all.dump").write_bytes(whole[: int(len(whole) * cut) if isinstance(cut, float) else cut])
    with pytest.raises(BackupFailed) as refused:
        read_backup(written.owner, tmp_path / "all.dump", force=True)
    assert "pg_restore" in refused.value.zh
    assert len(rows(written.reader)) == 2


def test_a_place_that_cannot_be_written_is_told_and_leaves_nothing(written, tmp_path):
    with pytest.raises(BackupFailed, match="cannot be written"):
        write_backup(written.reader, tmp_path / "no such folder" / "all.dump")
    assert list(tmp_path.iterdir()) == []
