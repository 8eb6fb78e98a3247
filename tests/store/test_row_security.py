"""The policies of row-level security, linted: by pgrls, and by what it has no rule for."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mediation.settings import Urls

CONFIG = Path(__file__).with_name("pgrls.toml")
LINT = tomllib.loads(CONFIG.read_text("utf-8"))["lint"]
ALLOWED = LINT["rules"]

# A setting of the context is read so, or the policy errs, or an empty string passes for a value, once a session has served.
SAFE_READING = r"NULLIF\(current_setting\('(mediation\.\w+)'::text, true\), ''::text\)"

WITHOUT_CONTEXT = {
    "attempts.written": "a refused attempt may be anybody's, also of who has no standing; it shows nothing to its writer",
}

SET_BY_QUERIES = {  # by queries, in the transaction that asks
    "mediation.grams",  # store/sight.py: for these very words
    "mediation.follows",  # store/logbook.py: for the whole log
}

FOR_THE_OWNER = {  # for `cases_holding`, which asks the index of words in a caller's name
    "cases.seen",
    "vault_words.sought",
}

POLICIES = """
SELECT tablename::text, policyname::text, roles::text[], cmd, concat_ws(' ', qual, with_check)
  FROM pg_policies WHERE schemaname = 'public'
"""
UNGUARDED = """
SELECT oid::regclass::text FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)
"""
PARTS = """
SELECT p.oid, p.relname::text, p.relowner, p.relacl, i.inhparent, i.inhparent::regclass::text AS whole
  FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
 WHERE p.relnamespace = 'public'::regnamespace AND p.relkind = 'r'
"""
OPENINGS = f"""
WITH parts AS ({PARTS})
SELECT 'a view is read with its owner''s rights: ' || c.oid::regclass FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace
   AND (c.relkind = 'm' OR (c.relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)))
UNION ALL
SELECT 'runs as its owner, with whatever search path: ' || p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace IN ('public'::regnamespace, 'jobs'::regnamespace) AND p.prosecdef
   AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%')
UNION ALL
SELECT 'owns something: ' || r.rolname FROM pg_roles r
 WHERE r.rolname IN ('mediation_app', 'mediation_log', 'mediation_reader')
   AND (EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) OR EXISTS (SELECT FROM pg_proc WHERE proowner = r.oid))
UNION ALL
SELECT 'may become one who bypasses: ' || r.rolname FROM pg_roles r
 WHERE r.rolname IN ('mediation_app', 'mediation_log', 'mediation_owner')
   AND EXISTS (SELECT FROM pg_roles b WHERE (b.rolsuper OR b.rolbypassrls) AND pg_has_role(r.oid, b.oid, 'MEMBER'))
UNION ALL
SELECT 'granted to everybody: ' || g.privilege_type || ' on ' || g.table_name FROM information_schema.table_privileges g
 WHERE g.table_schema = 'public' AND g.grantee = 'PUBLIC'
UNION ALL
SELECT 'granted on a part: ' || a.privilege_type || ' on ' || p.relname || ' to ' || coalesce(r.rolname, 'everybody')
  FROM parts p, aclexplode(p.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE a.grantee <> p.relowner AND (a.privilege_type, r.rolname) IS DISTINCT FROM ('SELECT', 'mediation_reader')
UNION ALL
SELECT 'only the whole only grows: ' || p.relname FROM parts p
 WHERE EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = p.inhparent AND t.tgname = 'only_grows')
   AND NOT EXISTS (SELECT FROM pg_trigger t
                   WHERE t.tgrelid = p.oid AND t.tgname = 'only_grows' AND t.tgenabled IN ('O', 'A')
                     AND t.tgtype & 56 = 56)  -- before DELETE, UPDATE and TRUNCATE
"""  # noqa: S608  # our own text
BODIES = "SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
GRANTS = """
SELECT c.relname::text, r.rolname::text, command
  FROM pg_class c, pg_roles r, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS command
 WHERE c.relnamespace = 'public'::regnamespace AND c.relrowsecurity AND r.rolname IN ('mediation_app', 'mediation_log')
   AND CASE command WHEN 'DELETE' THEN has_table_privilege(r.oid, c.oid, command)  -- columns are not deleted
            ELSE has_any_column_privilege(r.oid, c.oid, command) END
"""


def pgrls(url: str, *options: str) -> list[dict[str, Any]]:
    """What pgrls finds through a door of the owner's."""
    ran = subprocess.run(
        [sys.executable, "-m", "pgrls", "lint", "--database-url", url, "--format", "json", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in {0, 1}, ran.stderr
    found: list[dict[str, Any]] = json.loads(ran.stdout)["violations"]
    assert (ran.returncode == 1) == bool(found), ran.stdout
    return found


def unsafe(url: str) -> list[str]:
    """What is wrong that pgrls does not look for."""
    with psycopg.connect(url) as connection:
        policies = connection.execute(POLICIES).fetchall()
        found = [text for (text,) in connection.execute(OPENINGS)]
        unguarded = {f"public.{name}" for (name,) in connection.execute(UNGUARDED)}
        granted = {tuple(row) for row in connection.execute(GRANTS)}
        bodies = "".join(text for (text,) in connection.execute(BODIES))
    found += [
        f"no row-level security, or not for its owner: {name}"
        for name in unguarded - set(ALLOWED["SEC001"]["allowlist"])
    ]
    read = {name for policy in policies for name in re.findall(SAFE_READING, policy[4])}
    calls = [
        re.match(r"'(mediation\.\w+)'.*?, (true|false)\)", call, re.DOTALL) for call in bodies.split("set_config(")
    ]
    kept = {(call[1], call[2]) for call in calls if call}
    found += [
        f"no function sets what a policy reads: {name}" for name in read - {name for name, _ in kept} - SET_BY_QUERIES
    ]
    found += [f"set for the session, and so for whoever comes next: {name}" for name, how in kept if how == "false"]
    found += [wrong for policy in policies for wrong in _wrong(*policy)]
    made = {(table, role, command) for table, _, roles, command, _ in policies for role in roles} - {
        (name.partition(".")[0], "mediation_owner", "SELECT") for name in FOR_THE_OWNER
    }
    found += [f"{role} may {command} {table} and no policy says which" for table, role, command in granted - made]
    found += [f"a policy for what {role} may not do: {command} {table}" for table, role, command in made - granted]
    return sorted(found)


def _wrong(table: str, name: str, roles: list[str], command: str, expression: str) -> Iterator[str]:
    called = f"{table}.{name}"
    if not set(roles) <= {"mediation_app", "mediation_log"} | (
        {"mediation_owner"} if called in FOR_THE_OWNER else set()
    ):
        yield f"a policy for everybody, or for a stranger: {called}"
    if command == "ALL":
        yield f"a policy for whatever command: {called}"
    if expression.count("current_setting(") != len(re.findall(SAFE_READING, expression)):
        yield f"a setting is read that may be missing or empty: {called}"
    of_context = re.search(SAFE_READING, expression) or re.search(
        r"FROM cases c\s+WHERE \(c\.id = |sees\(case_id\)", expression
    )
    if {"mediation_app", "mediation_owner"} & set(roles) and not of_context and called not in WITHOUT_CONTEXT:
        yield f"a policy that does not ask who: {called}"


def allowed(url: str) -> dict[str, list[str]]:
    """What may be found by each rule: what is written in pgrls.toml, and the parts of tables, which change by the month."""
    leaves = {rule: list(leave["allowlist"]) for rule, leave in ALLOWED.items()}
    with psycopg.connect(url) as connection:
        for _, part, *_, whole in connection.execute(PARTS):
            leaves["SEC009"].append(f"public.{part}")
            if f"public.{whole}.only_grows" in ALLOWED["SEC013"]["allowlist"]:
                leaves["SEC013"].append(f"public.{part}.only_grows")
    return leaves


def written(path: Path, leaves: dict[str, list[str]]) -> Path:
    lines = ["[lint]", 'fail_on = "info"', f"disable = {json.dumps(LINT['disable'])}"]
    lines += [f"[lint.rules.{rule}]\nallowlist = {json.dumps(names)}" for rule, names in leaves.items()]
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_pgrls_finds_what_is_meant_and_nothing_else(database_urls: Urls, tmp_path: Path):
    config = written(tmp_path / "pgrls.toml", allowed(database_urls.owner))
    assert pgrls(database_urls.owner, "--config", str(config)) == []


def test_everything_that_is_allowed_is_still_found_without_the_leave(database_urls: Urls, tmp_path: Path):
    strict = written(tmp_path / "pgrls.toml", {})
    found = {(one["rule_id"], one["location"]) for one in pgrls(database_urls.owner, "--config", str(strict))}
    assert found == {(rule, name) for rule, names in allowed(database_urls.owner).items() for name in names}


def test_the_database_has_no_opening_that_pgrls_does_not_look_for(database_urls: Urls):
    assert unsafe(database_urls.owner) == []


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("ALTER TABLE cases DISABLE ROW LEVEL SECURITY", "SEC032"),
        ("ALTER TABLE events NO FORCE ROW LEVEL SECURITY", "SEC002"),
        ("ALTER POLICY seen ON cases USING (true)", "SEC008"),
        ("ALTER POLICY seen ON vault TO PUBLIC", "SEC003"),
        ("ALTER POLICY opened ON cases WITH CHECK (true)", "SEC028"),
        ("ALTER POLICY own ON event_keys USING (caller = current_setting('mediation.person')::uuid)", "SEC019"),
        ("CREATE TABLE remarks (case_id uuid, remark text)", "SEC001"),
        ("CREATE VIEW every_case AS SELECT * FROM cases", "VIEW001"),
    ],
)
def test_pgrls_sees_what_is_broken(database_urls: Urls, broken: str, rule: str):
    with psycopg.connect(database_urls.owner) as owner:
        owner.execute(broken)
    assert rule in {one["rule_id"] for one in pgrls(database_urls.owner, "--config", str(CONFIG))}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("ALTER TABLE vault NO FORCE ROW LEVEL SECURITY", "no row-level security, or not for its owner: public.vault"),
        (
            "ALTER POLICY own ON event_keys USING (caller = current_setting('mediation.person', true)::uuid)",
            "a setting is read that may be missing or empty: event_keys.own",
        ),
        (
            "ALTER POLICY own ON event_keys USING (caller = nullif(current_setting('mediation.person'), '')::uuid)",
            "a setting is read that may be missing or empty: event_keys.own",
        ),
        (
            "ALTER POLICY own ON event_keys USING (caller::text = nullif(current_setting('mediation.stray', true), ''))",
            "no function sets what a policy reads: mediation.stray",
        ),
        ("ALTER POLICY seen ON vault USING (case_id IS NOT NULL)", "a policy that does not ask who: vault.seen"),
        ("ALTER POLICY seen ON vault TO PUBLIC", "a policy for everybody, or for a stranger: vault.seen"),
        (
            "CREATE POLICY broad ON vault TO mediation_app USING (case_id = nullif(current_setting('mediation.case', true), '')::uuid)",
            "a policy for whatever command: vault.broad",
        ),
        ("DROP POLICY erased ON vault", "mediation_app may DELETE vault and no policy says which"),
        ("REVOKE DELETE ON vault FROM mediation_app", "a policy for what mediation_app may not do: DELETE vault"),
        ("GRANT UPDATE ON events TO mediation_app", "mediation_app may UPDATE events and no policy says which"),
        ("GRANT SELECT ON people TO PUBLIC", "granted to everybody: SELECT on people"),
        (
            "CREATE FUNCTION peep() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM cases'",
            "runs as its owner, with whatever search path: peep()",
        ),
        (
            "CREATE FUNCTION stay() RETURNS text LANGUAGE sql AS $$ SELECT set_config('mediation.org', 'x', false) $$",
            "set for the session, and so for whoever comes next: mediation.org",
        ),
        ("GRANT SELECT ON events_03 TO mediation_app", "granted on a part: SELECT on events_03 to mediation_app"),
        ("GRANT INSERT ON outbox_rest TO PUBLIC", "granted on a part: INSERT on outbox_rest to everybody"),
        ("DROP TRIGGER only_grows ON events_03", "only the whole only grows: events_03"),
        ("ALTER TABLE attempts_rest DISABLE TRIGGER only_grows", "only the whole only grows: attempts_rest"),
        (
            "ALTER TABLE events_03 NO FORCE ROW LEVEL SECURITY",
            "no row-level security, or not for its owner: public.events_03",
        ),
        (
            "CREATE TABLE by_hand PARTITION OF attempts FOR VALUES FROM ('2001-01-01') TO ('2001-02-01')",
            "no row-level security, or not for its owner: public.by_hand",
        ),
        ("CREATE VIEW every_case AS SELECT * FROM cases", "a view is read with its owner's rights: every_case"),
        ("CREATE MATERIALIZED VIEW kept AS SELECT * FROM cases", "a view is read with its owner's rights: kept"),
    ],
)
def test_an_opening_is_seen(database_urls: Urls, broken: str, said: str):
    with psycopg.connect(database_urls.owner) as owner:
        owner.execute(broken)
    assert said in unsafe(database_urls.owner)


def test_a_table_of_the_application_is_seen(server: Any, database_urls: Urls):
    name = psycopg.conninfo.conninfo_to_dict(database_urls.app)["dbname"]
    with psycopg.connect(server.url("postgres", str(name)), autocommit=True) as superuser:
        superuser.execute("CREATE TABLE own (id uuid); ALTER TABLE own OWNER TO mediation_app")
    assert "owns something: mediation_app" in unsafe(database_urls.owner)


def test_every_leave_has_its_reason():
    rule = ""
    for line in CONFIG.read_text("utf-8").splitlines():
        rule = line if line.startswith("[") else rule
        if line.startswith('  "'):
            assert "  # " in line or "  # " in rule, line


def test_the_policy_of_words_asks_its_index_for_no_empty_array(database_urls: Urls):
    asked = "SELECT qual FROM pg_policies WHERE tablename = 'vault_words' AND policyname = 'sought'"
    with psycopg.connect(database_urls.reader) as connection:
        ((said,),) = connection.execute(asked).fetchall()
    assert "stretches &&" in said
    assert "'{}'" not in said  # for which GIN walks through all of it
