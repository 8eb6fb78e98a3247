-- Searching by words: the newest cases that hold them, by the stretches of time in which they were filed (decision 0013).
-- Installed by migrations, each of which may run this file again.

DROP FUNCTION IF EXISTS cases_holding(bigint[], text[], uuid, uuid, uuid, integer, integer);

-- When a case was filed, in milliseconds (UUIDv7, RFC 9562 §5.7).
CREATE OR REPLACE FUNCTION filed_ms(p_case uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || left(replace(p_case::text, '-', ''), 12))::bit(48)::bigint
$$;

-- The stretches of one length, at most so many, that hold these milliseconds up to an instant, as the ids of each begin; and the
-- instant from which they do. They are of 17 minutes, 5 hours, 3 days, 7 weeks, or all time ('').
CREATE OR REPLACE FUNCTION stretches_of(p_until bigint, p_ms bigint, p_at_once integer, OUT stretches text[], OUT since bigint)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE bits integer;
BEGIN
    FOREACH bits IN ARRAY ARRAY[20, 24, 28, 32] LOOP
        since := greatest(p_until - p_ms, 0) >> bits;
        IF (p_until >> bits) - since < p_at_once THEN
            stretches := ARRAY(SELECT lpad(to_hex(s), 12 - bits / 4, '0') FROM generate_series(since, p_until >> bits) AS g (s));
            since := since << bits;
            RETURN;
        END IF;
    END LOOP;
    stretches := '{""}';
    since := 0;
END
$$;

-- The newest of the cases before one id, down to the oldest, that hold these words in one text and are in the list of the body
-- acted for (an auditor has none), and in that of `p_body` if it is said: so many as are wanted of those that the caller, whose
-- context is set, sees. `reached`: down to here all were looked at. `ms`: so long a time to look into first, and next time.
--
-- One time is looked into after another: one that holds `p_many` times the texts that are wanted, or more, is left for a shorter
-- one, as its finds come unordered; after one that holds few comes so much longer a one as there should be what is left.
-- It runs as the owner, who sees what is asked for of the index (rls.sql, `sought`). A caller sees the words of a case only where
-- they see the case: to ask that of each find takes ten times as long as to ask it of the newest.
CREATE OR REPLACE FUNCTION cases_holding(
    p_grams bigint[], p_body uuid, p_before uuid, p_oldest uuid, p_ms bigint, p_wanted integer, p_many integer, p_at_once integer,
    OUT ids uuid[], OUT reached uuid, OUT ms bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    until bigint := filed_ms(p_before);
    full_to uuid := p_before;  -- too many are known to be down to here
    stretches text[];
    since bigint;
    lowest uuid;
    at_most integer;
    found uuid[];
    seen uuid[];
BEGIN
    ids := '{}';
    reached := p_before;
    ms := p_ms;
    PERFORM set_config('mediation.grams', p_grams::text, true);
    WHILE cardinality(ids) < p_wanted AND reached > p_oldest LOOP
        SELECT s.stretches, s.since INTO stretches, since FROM stretches_of(until, least(ms, until - filed_ms(p_oldest)), p_at_once) AS s;
        lowest := (lpad(to_hex(since), 12, '0') || repeat('0', 20))::uuid;
        at_most := CASE WHEN cardinality(stretches) > 1 OR length(stretches[1]) < 7  -- the shortest is looked through
                        THEN p_many * p_wanted END;
        PERFORM set_config('mediation.stretches', stretches::text, true);
        found := ARRAY(
            SELECT w.case_id FROM vault_words w
            WHERE (w.case_id >= lowest AND w.case_id < reached AND (p_body IS NULL OR w.lists @> ARRAY[p_body])) IS TRUE
              AND w.grams @> p_grams LIMIT at_most);
        IF cardinality(found) >= at_most THEN
            ms := least(ms, until - since) * least(0.25, 1.25 * (p_wanted - cardinality(ids)) / at_most);
            full_to := lowest;
            CONTINUE;
        END IF;
        seen := ARRAY(
            SELECT f.id FROM (SELECT DISTINCT u.id FROM unnest(found) AS u (id) ORDER BY u.id DESC) AS f
            WHERE EXISTS (SELECT FROM cases c WHERE c.id = f.id OFFSET 0) LIMIT p_wanted - cardinality(ids));
        ids := ids || seen;
        reached := CASE WHEN cardinality(ids) < p_wanted THEN lowest ELSE ids[p_wanted] END;
        ms := until - filed_ms(reached) + 1;
        IF cardinality(ids) < p_wanted THEN
            ms := ms * least(CASE WHEN reached <= full_to THEN 16 ELSE 1 END,
                             1.25 * (p_wanted - cardinality(ids)) / greatest(1, cardinality(seen)));
        END IF;
        until := since - 1;
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION filed_ms, stretches_of, cases_holding FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cases_holding TO mediation_app;
