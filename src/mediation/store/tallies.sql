-- The counts of bodies, `tallies`: each row is of a body and all below it, in one category or ('') in all of them, so that
-- statistics read as many rows of a nation as of a township. Who adds to them, moves them and reads them. Installed by
-- migrations, each of which may run this file again.

DO $$
DECLARE
    old regprocedure;
BEGIN
    FOR old IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname IN ('add_tallies', 'move_tallies', 'statistics')
    LOOP
        EXECUTE 'DROP FUNCTION ' || old;
    END LOOP;
END
$$;

-- Add these to the counts, element by element where they are days; each key once.
-- p_sums: [[org, year, category, what, count, [how many took 0 days, 1 day, …]], …], or null for none.
CREATE FUNCTION add_tallies(p_sums json) RETURNS void LANGUAGE sql AS $$
    INSERT INTO tallies AS t (org, year, category, what, count, days)
    SELECT (r->>0)::uuid, (r->>1)::integer, r->>2, r->>3, (r->>4)::bigint,
           ARRAY(SELECT d::integer FROM json_array_elements_text(r->5) WITH ORDINALITY AS u (d, place) ORDER BY place)
    FROM json_array_elements(p_sums) AS r
    ON CONFLICT (org, year, category, what) DO UPDATE
    SET count = t.count + excluded.count,
        days = CASE WHEN excluded.days = '{}' THEN t.days ELSE ARRAY(
            SELECT coalesce(old, 0) + coalesce(new, 0)
            FROM unnest(t.days, excluded.days) WITH ORDINALITY AS u (old, new, place) ORDER BY place) END
$$;

-- Take what is counted of bodies that have another superior now from those above them before, and add it to those above
-- them now: first the lowest are taken out and at last put in, as one of them may be below another.
-- p_before: [{"org", "path"}], who stood above each; those whose superior is the same are left alone. The sequencer
-- waits until it commits, as one that read the old tree would count there.
CREATE FUNCTION move_tallies(p_before json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    PERFORM enter('00000000-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL);
    PERFORM pg_advisory_xact_lock(hashtext('mediation.integrate'));
    FOR one IN
        WITH moved AS (
            SELECT o.id AS org, b.path AS before, o.path AS now
            FROM json_to_recordset(p_before) AS b (org uuid, path uuid[]) JOIN organisations o ON o.id = b.org
            WHERE o.superior IS DISTINCT FROM b.path[1]
        )
        SELECT org, path, sign
        FROM (SELECT org, before, -1 FROM moved UNION ALL SELECT org, now, 1 FROM moved) AS s (org, path, sign)
        ORDER BY sign, sign * cardinality(path)
    LOOP
        PERFORM add_tallies((
            SELECT json_agg(json_build_array(
                above, t.year, t.category, t.what, one.sign * t.count,
                ARRAY(SELECT one.sign * d FROM unnest(t.days) WITH ORDINALITY AS u (d, place) ORDER BY place)))
            FROM tallies t, unnest(one.path) AS above WHERE t.org = one.org));
    END LOOP;
END
$$;

-- What `p_of` and each body right below it did in a year (open legs are of the year 0) and what is overdue there, as one
-- JSON: null, where the body is absent or the caller neither above it nor with jurisdiction, in `p_audits`, over it.
-- One statement, so that bodies and counts are those of one moment. Whatever is overdue is in the worklist of `p_of`, and
-- counted there whoever looks; an auditor, who has no list, goes by the cases that they see.
-- {"bodies": by code, "counts": [[org, category, what, count]], "days": [[org, category, what, days]],
-- "overdue": [[org, category, count]]}. Counts are of the body with all below, by category of `p_of` alone (else "");
-- overdue is of the body itself and of each right below with all below that.
CREATE FUNCTION statistics(
    p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_audits text, p_of uuid, p_year integer, p_at timestamptz,
    p_day date
) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter(p_person, p_org, p_roles, p_request, NULL);
    PERFORM bodies_below(), bodies_audited();  -- whether there is a body or not: so its absence takes as long
    RETURN (
        WITH near AS MATERIALIZED (
            SELECT o.* FROM organisations o WHERE (o.id = p_of OR o.path @> ARRAY[p_of] AND o.superior = p_of) AND EXISTS (
                SELECT FROM organisations b WHERE b.id = p_of
                AND (b.id = p_org OR p_org = ANY (b.path) OR p_audits <> '' AND starts_with(b.division, p_audits)))
        ), counted AS MATERIALIZED (
            SELECT t.org, t.category, t.what, t.count, t.days
            FROM tallies t WHERE t.org = p_of AND t.year IN (0, p_year) AND t.category <> '' AND EXISTS (SELECT FROM near)
            UNION ALL
            SELECT t.org, t.category, t.what, t.count, t.days
            FROM tallies t WHERE t.org = ANY (ARRAY(SELECT n.id FROM near n WHERE n.id <> p_of)) AND t.year IN (0, p_year)
                             AND t.category = ''
        ), late AS (
            SELECT h.holder, h.category, count(*) AS many
            FROM (
                SELECT w.holder, w.category FROM worklists w
                WHERE p_audits = '' AND w.org = p_of AND w.late_at <= p_at AND w.state NOT IN ('closed', 'archived')
                UNION ALL
                SELECT c.holder, c.category FROM cases c
                WHERE p_audits <> '' AND c.due_on <= p_day AND c.late_at <= p_at AND c.state NOT IN ('closed', 'archived')
            ) h GROUP BY 1, 2
        ), overdue AS (
            SELECT (ARRAY[o.id] || o.path)[coalesce(array_position(o.path, p_of), 1)] AS org, l.category, sum(l.many) AS many
            FROM late l JOIN organisations o ON o.id = l.holder
            WHERE o.id = p_of OR o.path @> ARRAY[p_of]
            GROUP BY 1, 2
        )
        SELECT json_build_object(
            'bodies', (SELECT json_agg(json_build_object(
                'id', n.id, 'code', n.code, 'name', n.name, 'name_en', n.name_en, 'kind', n.kind, 'tier', n.tier,
                'division', n.division, 'superior', coalesce(n.superior::text, ''),
                'speciality', n.speciality, 'path', n.path) ORDER BY n.code) FROM near n),
            'counts', (SELECT json_agg(json_build_array(s.org, s.category, s.what, s.many))
                       FROM (SELECT c.org, c.category, c.what, sum(c.count)::bigint AS many FROM counted c GROUP BY 1, 2, 3) s),
            'days', (SELECT json_agg(json_build_array(c.org, c.category, c.what, c.days)) FROM counted c WHERE c.days <> '{}'),
            'overdue', (SELECT json_agg(json_build_array(s.org, s.category, s.many)) FROM overdue s)
        )::text
        WHERE EXISTS (SELECT FROM near));
END
$$;

REVOKE ALL ON FUNCTION add_tallies, move_tallies, statistics FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_tallies, move_tallies, statistics TO mediation_app;
GRANT EXECUTE ON FUNCTION add_tallies TO mediation_log;
