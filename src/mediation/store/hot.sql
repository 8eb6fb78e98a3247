-- The hot path: each step of a case is one call of `read_case` and one of `write_step`, in autocommit.
--
-- Every function first sets the context that row-level security reads (`enter` of rls.sql) and only then runs its
-- statement: in one statement the planner might filter first. The nil UUID stands for the clock, as in
-- `event_keys.caller`. Installed by migrations, each of which may run this file again.

DO $$
DECLARE
    old regprocedure;
BEGIN
    FOR old IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace
          AND proname IN ('readable', 'read_case', 'write_step', 'open_case', 'prepare_filing', 'numbered_case', 'sealed_rows',
                          'disclose', 'waking_cases', 'counting_cases', 'awake_cases', 'relist', 'case_events')
    LOOP
        EXECUTE 'DROP FUNCTION ' || old;
    END LOOP;
END
$$;

-- The case, where this actor may read it: the permits of domain/access.py, which row-level security says once more. `p_shown`:
-- as of `read_case`. It becomes part of the statement that calls it.
CREATE FUNCTION readable(p_case uuid, p_actor uuid, p_org uuid, p_roles text[], p_audits text, p_shown text)
RETURNS SETOF cases LANGUAGE sql STABLE AS $$
    SELECT c.* FROM cases c,
        (SELECT p_roles && '{clerk,grid_worker,coordinator,chair,judge,officer,prosecutor,arbitrator,leader,supervisor,archivist,system}'
                AS wide) AS r
    WHERE c.id = p_case AND (
        'clock' = ANY (p_roles)
        OR NOT p_actor = ANY (c.recused) AND (
            c.number = p_shown
            OR (wide OR 'mediator' = ANY (p_roles) AND (NOT c.restricted OR c.assigned = '{}' OR p_actor = ANY (c.assigned)))
                AND p_org = ANY (c.orgs)
            OR (wide OR 'mediator' = ANY (p_roles) AND NOT c.restricted)
                AND (NOT c.restricted OR p_roles && '{coordinator,chair,leader,supervisor}')
                AND EXISTS (SELECT FROM organisations o WHERE o.id = ANY (c.orgs) AND p_org = ANY (o.path))
            OR NOT p_actor = ANY (c.closers) AND (
                starts_with(c.division, p_audits)
                OR EXISTS (SELECT FROM organisations o WHERE o.id = ANY (c.orgs) AND starts_with(o.division, p_audits)))))
$$;

-- Who is asking, what they may see of one case, and the answer already given under their key.
-- standing: 'ok', 'none' (no membership), 'foreign' (not a member of the body named), 'several' (say which).
-- p_person: null, where the token names a p_subject of a p_issuer.
-- p_shown: the number of the case, where its case code was shown and checked: then it is read though the actor's body is
-- not named by it. p_sealed: also its sealed values as far as `sealed_rows` gives what opens them, each an array with
-- bytea in hex.
CREATE FUNCTION read_case(
    p_person uuid, p_issuer text, p_subject text, p_acting_for uuid, p_request uuid, p_case uuid, p_key text,
    p_named uuid[], p_shown text, p_sealed boolean,
    OUT standing text, OUT actor uuid, OUT actor_org uuid, OUT actor_roles text, OUT facts text, OUT orgs text,
    OUT text_key bytea, OUT fingerprint bytea, OUT event bytea, OUT sealed text
) LANGUAGE plpgsql AS $$
DECLARE
    memberships bigint;
    roles text[];
    audits text;
    answered record;
BEGIN
    actor := p_person;
    IF p_person = '00000000-0000-0000-0000-000000000000' THEN
        memberships := 1;
        actor_org := p_acting_for;
        roles := '{clock}';
    ELSE
        IF p_person IS NULL THEN
            SELECT i.person INTO actor FROM identities i WHERE i.issuer = p_issuer AND i.subject = p_subject;
        END IF;
        SELECT m.org, m.roles, count(*) OVER (),
               CASE WHEN o.kind = 'audit_office' AND 'auditor' = ANY (m.roles) THEN o.division END
        INTO actor_org, roles, memberships, audits
        FROM memberships m JOIN organisations o ON o.id = m.org AND o.active
        WHERE m.person = actor AND (p_acting_for IS NULL OR m.org = p_acting_for)
        LIMIT 1;
    END IF;
    IF memberships IS DISTINCT FROM 1 THEN
        standing := CASE WHEN memberships > 1 THEN 'several' WHEN p_acting_for IS NULL THEN 'none' ELSE 'foreign' END;
        RETURN;
    END IF;
    standing := 'ok';
    actor_roles := array_to_string(roles, ' ');
    PERFORM enter(actor, actor_org, roles, p_request, p_shown);
    SELECT c.facts::text,
           (SELECT json_agg(json_build_object(
                       'id', o.id, 'code', o.code, 'name', o.name, 'name_en', o.name_en, 'kind', o.kind, 'tier', o.tier,
                       'division', o.division, 'superior', coalesce(o.superior::text, ''),
                       'speciality', o.speciality, 'path', o.path))::text
            FROM organisations o WHERE o.id = ANY (c.orgs || c.past_orgs || p_named || actor_org))
    INTO facts, orgs
    FROM (SELECT) AS once
    LEFT JOIN readable(p_case, actor, actor_org, roles, audits, p_shown) c ON true;
    IF facts IS NOT NULL THEN
        PERFORM set_config('mediation.case', p_case::text, true);
        SELECT v.wrapped INTO text_key FROM vault_keys v WHERE v.case_id = p_case AND v.subject = 0;
        IF p_sealed THEN
            SELECT json_agg(json_build_array(r.subject, r.digest, r.name, encode(r.sealed, 'hex'),
                                             encode(r.wrapped, 'hex')))::text
            INTO sealed FROM sealed_values(p_case) r;
        END IF;
    ELSIF p_case IS NOT NULL THEN  -- an invisible row has made its policy ask something of the kind; an absent one takes as long
        PERFORM bodies_below(), bodies_audited();
    END IF;
    -- After the case: whoever sees it moved on by this very key sees the key too, each statement having its own snapshot.
    IF p_key IS NOT NULL THEN
        SELECT k.fingerprint, k.event, k.case_id INTO answered
        FROM event_keys k WHERE k.caller = actor AND k.key = p_key;
        IF FOUND THEN  -- the answer once given to this caller stays theirs, whatever became of the case
            fingerprint := answered.fingerprint;
            PERFORM set_config('mediation.event', answered.event::text, true);
            SELECT e.bytes INTO event FROM events e WHERE e.case_id = answered.case_id AND e.id = answered.event;
        END IF;
    END IF;
END
$$;

-- One step: the case moves on where it still stands at p_version; only then do event, key, outbox row and sealed
-- values exist. False: somebody else was first. A second use of a key raises unique_violation: as the keys lie in parts
-- by month, no index can say so, and whoever writes one takes its turn.
-- p_listed: where or how it is listed has changed (state, due day, bodies, hand-offs, what it is counted by when late), or a
-- reference by which it is found.
-- p_sealed: null, or [{"subject","digest","name","sealed","blind","wrapped","blind_id","grams"}] with bytea in hex.
CREATE FUNCTION write_step(
    p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_shown text, p_case uuid, p_version integer, p_event uuid, p_bytes bytea,
    p_key text, p_fingerprint bytea, p_sealed jsonb, p_tallies json, p_listed boolean, p_facts json, p_line json, p_state text,
    p_tier text, p_track text, p_holder uuid, p_category text, p_division text, p_risk text, p_due_on date, p_wake_at timestamptz,
    p_late_at timestamptz, p_orgs uuid[], p_past_orgs uuid[], p_open_orgs uuid[], p_inbound uuid[], p_outbound uuid[], p_refs text[],
    p_restricted boolean, p_assigned uuid[], p_recused uuid[], p_closers uuid[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
    above uuid[];
BEGIN
    PERFORM enter(p_person, p_org, p_roles, p_request, p_shown);
    IF p_listed OR p_sealed IS NOT NULL THEN
        LOCK TABLE worklists IN ROW EXCLUSIVE MODE;  -- while bodies move (`relist`), it waits to know who is above them
        above := and_above(p_orgs);
    END IF;
    PERFORM set_config('mediation.case', p_case::text, true);
    IF p_key IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(p_key, ('x' || right(p_person::text, 8))::bit(32)::bigint));
        IF EXISTS (SELECT FROM event_keys k WHERE k.caller = p_person AND k.key = p_key) THEN
            RAISE unique_violation USING TABLE = 'event_keys';
        END IF;
    END IF;
    WITH moved AS (
        UPDATE cases SET
            version = p_version + 1, facts = p_facts, line = p_line, state = p_state, tier = p_tier, track = p_track,
            holder = p_holder, category = p_category, division = p_division, risk = p_risk, due_on = p_due_on,
            wake_at = p_wake_at, late_at = p_late_at, orgs = p_orgs, past_orgs = p_past_orgs, open_orgs = p_open_orgs,
            inbound = p_inbound, outbound = p_outbound, refs = p_refs, restricted = p_restricted,
            assigned = p_assigned, recused = p_recused, closers = p_closers
        WHERE id = p_case AND version = p_version
        RETURNING id
    ), appended AS (
        INSERT INTO events (id, case_id, seq, bytes) SELECT p_event, id, p_version + 1, p_bytes FROM moved
    ), keyed AS (
        INSERT INTO event_keys (caller, key, fingerprint, event, case_id)
        SELECT p_person, p_key, p_fingerprint, p_event, id FROM moved WHERE p_key IS NOT NULL
    ), queued AS (
        INSERT INTO outbox (event, case_id, holder, open_orgs, category, division, late_at, tallies)
        SELECT p_event, id, p_holder, p_open_orgs, p_category, p_division, p_late_at, p_tallies FROM moved
    ), sealed AS (
        INSERT INTO vault (case_id, subject, digest, name, sealed, blind, blind_id)
        SELECT moved.id, s.subject, s.digest, s.name, s.sealed, s.blind, s.blind_id FROM moved, jsonb_to_recordset(p_sealed)
            AS s (subject integer, digest text, name text, sealed bytea, blind bytea, blind_id bytea)
    ), indexed AS (
        INSERT INTO vault_words (case_id, digest, subject, grams, lists)
        SELECT moved.id, s.digest, s.subject, s.grams, above FROM moved, jsonb_to_recordset(p_sealed)
            AS s (subject integer, digest text, grams bigint[])
        WHERE s.grams IS NOT NULL
    ), wrapped AS (
        INSERT INTO vault_keys (case_id, subject, wrapped)
        SELECT moved.id, s.subject, s.wrapped FROM moved, jsonb_to_recordset(p_sealed)
            AS s (subject integer, wrapped bytea)
        WHERE s.wrapped IS NOT NULL
    )
    SELECT count(*) INTO written FROM moved;
    IF written = 1 AND p_listed THEN
        IF p_past_orgs <> '{}' THEN
            DELETE FROM worklists w WHERE w.case_id = p_case AND w.org = ANY (and_above(p_past_orgs))
                                      AND NOT w.org = ANY (above);
        END IF;
        INSERT INTO worklists (org, case_id, state, due_on, inbound, outbound, holder, category, late_at)
        SELECT b.org, p_case, p_state, p_due_on, b.org = ANY (p_inbound), b.org = ANY (p_outbound), p_holder, p_category, p_late_at
        FROM unnest(above) AS b (org)
        ON CONFLICT (org, case_id) DO UPDATE
        SET (state, due_on, inbound, outbound, holder, category, late_at) = (excluded.state, excluded.due_on,
            excluded.inbound, excluded.outbound, excluded.holder, excluded.category, excluded.late_at);
        UPDATE vault_words w SET lists = ARRAY(SELECT DISTINCT unnest(w.lists || above))
        WHERE w.case_id = p_case AND NOT w.lists @> above;
        INSERT INTO case_refs (ref, case_id) SELECT unnest(p_refs), p_case ON CONFLICT DO NOTHING;
    END IF;
    RETURN written = 1;
END
$$;

-- These bodies and all above them.
CREATE OR REPLACE FUNCTION and_above(p_orgs uuid[]) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(DISTINCT b.id), '{}') FROM organisations o, unnest(o.id || o.path) AS b (id) WHERE o.id = ANY (p_orgs)
$$;

-- List the cases of these bodies anew, as those above them are no longer who they were (p_left), and right whatever is not
-- as the cases say; null: of all bodies. Steps wait until it commits, as one that read the old tree would list its case there.
CREATE FUNCTION relist(p_orgs uuid[], p_left uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter('00000000-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL);
    LOCK TABLE worklists IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO worklists AS l (org, case_id, state, due_on, inbound, outbound, holder, category, late_at)
    SELECT b.org, c.id, c.state, c.due_on, b.org = ANY (c.inbound), b.org = ANY (c.outbound), c.holder, c.category, c.late_at
    FROM cases c, unnest(and_above(c.orgs)) AS b (org)
    WHERE p_orgs IS NULL OR c.id IN (SELECT w.case_id FROM worklists w WHERE w.org = ANY (p_orgs))
    ON CONFLICT (org, case_id) DO UPDATE
    SET (state, due_on, inbound, outbound, holder, category, late_at) = (excluded.state, excluded.due_on,
        excluded.inbound, excluded.outbound, excluded.holder, excluded.category, excluded.late_at)
    WHERE l IS DISTINCT FROM excluded;
    DELETE FROM worklists w USING cases c
    WHERE c.id = w.case_id AND NOT w.org = ANY (and_above(c.orgs))
      AND (p_orgs IS NULL OR w.org = ANY (p_left)
                             AND w.case_id IN (SELECT l.case_id FROM worklists l WHERE l.org = ANY (p_orgs)));
    UPDATE vault_words w SET lists = ARRAY(SELECT DISTINCT unnest(w.lists || l.lists))
    FROM (SELECT c.id, and_above(c.orgs) AS lists FROM cases c
          WHERE p_orgs IS NULL OR c.id IN (SELECT w.case_id FROM worklists w WHERE w.org = ANY (p_orgs))) AS l
    WHERE w.case_id = l.id AND NOT w.lists @> l.lists;
    IF p_orgs IS NULL THEN
        DELETE FROM worklists w WHERE NOT EXISTS (SELECT FROM cases c WHERE c.id = w.case_id);
        INSERT INTO case_refs (ref, case_id) SELECT unnest(c.refs), c.id FROM cases c WHERE c.refs <> '{}'
        ON CONFLICT DO NOTHING;
    END IF;
END
$$;

-- The events of a case after one of them, in order, each with its position once it has one. Whoever does not see the case
-- is refused with insufficient_privilege.
CREATE FUNCTION case_events(p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_case uuid, p_after integer, p_limit integer)
RETURNS TABLE (seq integer, bytes bytea, "position" bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter(p_person, p_org, p_roles, p_request, NULL);
    IF EXISTS (SELECT FROM readable(p_case, p_person, p_org, p_roles, nullif(current_setting('mediation.audits', true), ''), NULL)) THEN
        PERFORM set_config('mediation.case', p_case::text, true);
        RETURN QUERY SELECT e.seq, e.bytes, s.position FROM events e LEFT JOIN spans s ON s.case_id = e.case_id AND s.seq = e.seq
                     WHERE e.case_id = p_case AND e.seq > p_after ORDER BY e.seq LIMIT p_limit;
    ELSE  -- an invisible row has made its policy ask something of the kind; an absent one takes as long
        PERFORM bodies_below(), bodies_audited();
        RAISE insufficient_privilege;
    END IF;
END
$$;

-- The first step of a case: the case at version 0, then the same step as any other.
CREATE FUNCTION open_case(
    p_number text, p_filed_at timestamptz,
    p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_shown text, p_case uuid, p_version integer, p_event uuid,
    p_bytes bytea, p_key text, p_fingerprint bytea, p_sealed jsonb, p_tallies json, p_listed boolean, p_facts json, p_line json, p_state text,
    p_tier text, p_track text, p_holder uuid, p_category text, p_division text, p_risk text, p_due_on date, p_wake_at timestamptz,
    p_late_at timestamptz, p_orgs uuid[], p_past_orgs uuid[], p_open_orgs uuid[], p_inbound uuid[], p_outbound uuid[], p_refs text[],
    p_restricted boolean, p_assigned uuid[], p_recused uuid[], p_closers uuid[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('mediation.case', p_case::text, true);
    INSERT INTO cases (id, number, filed_at, orgs) VALUES (p_case, p_number, p_filed_at, p_orgs);
    RETURN write_step(
        p_person, p_org, p_roles, p_request, p_shown, p_case, p_version, p_event, p_bytes, p_key, p_fingerprint, p_sealed,
        p_tallies, p_listed,
        p_facts, p_line, p_state, p_tier, p_track, p_holder, p_category, p_division, p_risk, p_due_on, p_wake_at, p_late_at, p_orgs,
        p_past_orgs, p_open_orgs, p_inbound, p_outbound, p_refs, p_restricted, p_assigned, p_recused, p_closers);
END
$$;

-- A fresh number of a body and year (never given twice; a refused filing leaves a gap), and the ten newest cases of the
-- division, filed since p_since and visible to the body, that have one of these applicants and one of these
-- respondents: no more, as they are named in the event, which has its limit.
CREATE FUNCTION prepare_filing(
    p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_year integer, p_division text, p_since timestamptz,
    p_applicants bytea[], p_respondents bytea[], OUT number integer, OUT similar_cases uuid[]
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter(p_person, p_org, p_roles, p_request, NULL);
    INSERT INTO case_numbers AS n (org, year, last) VALUES (p_org, p_year, 1)
    ON CONFLICT (org, year) DO UPDATE SET last = n.last + 1 RETURNING n.last INTO number;
    SELECT coalesce(array_agg(s.id ORDER BY s.id), '{}') INTO similar_cases
    FROM (
        SELECT c.id FROM cases c
        WHERE c.id IN (SELECT v.case_id FROM vault v WHERE v.blind = ANY (p_applicants))
          AND c.id IN (SELECT v.case_id FROM vault v WHERE v.blind = ANY (p_respondents))
          AND c.division = p_division AND c.filed_at >= p_since AND (NOT c.restricted OR p_org = ANY (c.orgs))
          AND NOT p_person = ANY (c.recused)
          AND (p_org = ANY (c.orgs)
               OR EXISTS (SELECT FROM organisations o WHERE o.id = ANY (c.orgs) AND p_org = ANY (o.path)))
        ORDER BY c.id DESC LIMIT 10) AS s;
END
$$;

-- The id of the case of a number, for the check of a case code, which is shown with it.
CREATE FUNCTION numbered_case(p_person uuid, p_request uuid, p_number text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter(p_person, NULL, NULL, p_request, p_number);
    RETURN (SELECT c.id::text FROM cases c WHERE c.number = p_number);
END
$$;

-- The sealed values of a case in the order they were sealed, each with its wrapped key, as long as there is one; and a
-- row named 'erased' for each subject whose key was destroyed.
CREATE OR REPLACE FUNCTION sealed_values(p_case uuid)
RETURNS TABLE (subject integer, digest text, name text, sealed bytea, blind bytea, wrapped bytea, blind_id bytea)
LANGUAGE sql STABLE AS $$
    SELECT s.subject, s.digest, s.name, s.sealed, s.blind, s.wrapped, s.blind_id
    FROM (SELECT v.subject, v.digest, v.name, v.sealed, v.blind, k.wrapped, v.blind_id, v.place
          FROM vault v JOIN vault_keys k USING (case_id, subject) WHERE v.case_id = p_case
          UNION ALL
          SELECT DISTINCT e.subject, '', 'erased', ''::bytea, NULL::bytea, ''::bytea, NULL::bytea, 0
          FROM erasures e WHERE e.case_id = p_case) AS s
    ORDER BY s.subject, s.place
$$;
CREATE FUNCTION sealed_rows(p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_shown text, p_case uuid)
RETURNS TABLE (subject integer, digest text, name text, sealed bytea, blind bytea, wrapped bytea, blind_id bytea)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter(p_person, p_org, p_roles, p_request, p_shown);
    IF sees(p_case) THEN
        PERFORM set_config('mediation.case', p_case::text, true);
        RETURN QUERY SELECT * FROM sealed_values(p_case);
    END IF;
END
$$;

-- The log of who was shown what, written before anything is shown. p_purpose: a code; in words it is p_sealed. Whoever
-- does not see the case is refused with insufficient_privilege.
CREATE FUNCTION disclose(
    p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_shown text, p_kind text, p_case uuid, p_purpose text,
    p_fields text[], p_sealed bytea
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    written bigint := nextval('disclosures_id_seq');
BEGIN
    PERFORM enter(p_person, p_org, p_roles, p_request, p_shown);
    IF p_case IS NOT NULL AND NOT sees(p_case) THEN
        RAISE insufficient_privilege;
    END IF;
    INSERT INTO disclosures (id, person, org, request, kind, case_id, purpose, fields, sealed)
    VALUES (written, p_person, p_org, p_request, p_kind, p_case, p_purpose, p_fields, p_sealed);
    INSERT INTO access_outbox (disclosure) VALUES (written);
END
$$;

-- What the clock looks up. It sees every case, and nobody signs in as the clock.
CREATE FUNCTION waking_cases(p_until timestamptz, p_after timestamptz, p_id uuid, p_limit integer) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter('00000000-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL);
    RETURN QUERY SELECT c.facts::text FROM cases c WHERE c.wake_at <= p_until AND (c.wake_at, c.id) > (p_after, p_id)
                 ORDER BY c.wake_at, c.id LIMIT p_limit;
END
$$;
CREATE FUNCTION awake_cases(p_until timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter('00000000-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL);
    RETURN (SELECT count(*) FROM cases c WHERE c.wake_at <= p_until);
END
$$;
CREATE FUNCTION counting_cases(p_after uuid, p_limit integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter('00000000-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL);
    RETURN QUERY SELECT c.facts::text FROM cases c
                 WHERE c.id > p_after AND (c.wake_at IS NOT NULL OR c.facts::text LIKE '%"provisional":true%')
                 ORDER BY c.id LIMIT p_limit;
END
$$;

REVOKE ALL ON FUNCTION enter, bodies_below, bodies_audited, follows, sees, readable, read_case, write_step, open_case, prepare_filing,
    numbered_case, sealed_rows, disclose, waking_cases, awake_cases, counting_cases, relist, case_events, and_above, sealed_values FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enter, bodies_below, bodies_audited, follows, sees, readable, read_case, write_step, open_case, prepare_filing,
    numbered_case, sealed_rows, disclose, waking_cases, awake_cases, counting_cases, relist, case_events, and_above, sealed_values TO mediation_app;
