-- Tables in parts. The events lie in parts by the hash of their case, so that a case's history is in one of them and
-- UNIQUE (case_id, seq) holds. What is of interest for a while only (outbox, keys of requests, attempts, the access log)
-- lies in parts by month: an old month is detached or dropped at once, whatever it holds.
--
-- Nobody is granted anything on a part: it is read and written through the whole, whose policies hold. Each has
-- row-level security on and no policy, so that not even its owner reads it by name.

-- What stands on each part of a table that only grows, and how a part is kept in order.
CREATE FUNCTION furnish_part(p_part regclass, p_whole text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_part);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_part);
    EXECUTE format('GRANT SELECT ON %s TO mediation_reader', p_part);  -- which a dump reads part by part
    IF p_whole IN ('events', 'disclosures', 'attempts') THEN
        EXECUTE format('CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON %s'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', p_part);
    END IF;
    IF p_whole = 'outbox' THEN  -- it fills and empties all day: vacuumed by its traffic, not by its size
        EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,'
                       ' autovacuum_vacuum_cost_delay = 0)', p_part);
    END IF;
END
$$;

-- Make the months that are missing from one instant to another, one transaction for all; how many were made. A month whose
-- rows have come already lies in the rest (`…_rest`) and stays there. Where somebody reads for long (a dump), it gives up soon,
-- as whoever comes after it would wait too: there are two months to try again.
CREATE FUNCTION make_partitions(p_from timestamptz, p_to timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '300ms' SET timezone = 'UTC' AS $$
DECLARE
    whole text;
    month timestamptz;
    part text;
    made integer := 0;
BEGIN
    IF p_from < timestamptz '1990-01-01' OR p_to > now() + interval '10 years' THEN
        RAISE 'months from % to % are not made', p_from, p_to USING ERRCODE = 'datetime_field_overflow';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('mediation.partitions'));
    FOREACH whole IN ARRAY ARRAY['outbox', 'event_keys', 'attempts', 'disclosures'] LOOP
        FOR month IN SELECT generate_series(date_trunc('month', p_from), p_to, interval '1 month') LOOP
            part := whole || to_char(month, '_YYYYMM');
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                               part, whole, month, month + interval '1 month');
                PERFORM furnish_part(part::regclass, whole);
                made := made + 1;
            EXCEPTION WHEN check_violation THEN NULL;
            END;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

-- Drop the months of keys that ended so many days ago; how many.
CREATE FUNCTION forget_keys(p_days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '300ms' SET timezone = 'UTC' AS $$
DECLARE
    part text;
    dropped integer := 0;
BEGIN
    FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'event_keys'::regclass AND c.relname ~ '^event_keys_[0-9]{6}$'
                  AND to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' <= now() - make_interval(days => greatest(p_days, 1))
    LOOP
        EXECUTE format('DROP TABLE %I', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION make_partitions, forget_keys, furnish_part FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_partitions, forget_keys TO mediation_app;

DO $$
DECLARE
    whole text;
    part text;
BEGIN
    FOR i IN 0..15 LOOP
        part := 'events_' || to_char(i, 'FM00');
        EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, i);
        PERFORM furnish_part(part::regclass, 'events');
    END LOOP;
    FOREACH whole IN ARRAY ARRAY['outbox', 'event_keys', 'attempts', 'disclosures'] LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', whole || '_rest', whole);
        PERFORM furnish_part((whole || '_rest')::regclass, whole);
    END LOOP;
    PERFORM make_partitions(now(), now() + interval '2 months');
END
$$;
