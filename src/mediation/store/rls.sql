-- Row-level security, the second line behind the application's own predicates: what a transaction may see and write is
-- decided by the context that `enter` has set in it. With no context there is no row.
--
-- A custom setting that was ever set on a connection reverts to the empty string and not to null, so every reading of
-- one goes through nullif. A condition of the application may use an index only where its operator is leakproof (of ids,
-- days and texts compared, not of arrays or LIKE): so lists go through `worklists`, and words through a policy's own
-- condition. Settings are read in place, not in sub-selects: a step looks at one row, and setting up
-- thirty sub-plans took longer than the step (`make bench ARGS=--second-line`).

-- Who acts here until the transaction ends: `p_roles` as the membership says, `p_shown` the number of a case whose code
-- was shown and checked. The role lists are those of domain/access.py, which a test compares.
--
-- mediation.may holds: all (sees every case of the body), assigned (a restricted one only as its mediator), above (sees
-- restricted cases of bodies below), guards and oversees (the logs), clock.
CREATE OR REPLACE FUNCTION enter(p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_shown text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    audits text;
BEGIN
    PERFORM set_config('mediation.person', coalesce(p_person::text, ''), true),
            set_config('mediation.org', coalesce(p_org::text, ''), true),
            set_config('mediation.may', concat_ws(' ',
                CASE WHEN p_roles && '{clerk,grid_worker,coordinator,chair,judge,officer,prosecutor,arbitrator,leader,supervisor,archivist,system}'
                    THEN 'all' WHEN p_roles && '{mediator}' THEN 'assigned' END,
                CASE WHEN p_roles && '{coordinator,chair,leader,supervisor}' THEN 'above' END,
                CASE WHEN p_roles && '{audit_admin}' THEN 'oversees guards' END,
                CASE WHEN p_roles && '{security_admin}' THEN 'guards' END,
                CASE WHEN p_person = '00000000-0000-0000-0000-000000000000' THEN 'clock' END), true);
    IF p_roles && '{auditor}' THEN
        SELECT o.division INTO audits FROM organisations o WHERE o.id = p_org AND o.kind = 'audit_office';
    END IF;
    IF coalesce(audits, '') <> coalesce(current_setting('mediation.audits', true), '') THEN
        PERFORM set_config('mediation.audits', coalesce(audits, ''), true);
    END IF;
    IF coalesce(current_setting('mediation.below', true), '') <> '' THEN
        PERFORM set_config('mediation.below', '', true);
    END IF;
    IF coalesce(current_setting('mediation.audited', true), '') <> '' THEN
        PERFORM set_config('mediation.audited', '', true);
    END IF;
    IF coalesce(p_shown, '') <> coalesce(current_setting('mediation.shown', true), '') THEN
        PERFORM set_config('mediation.shown', coalesce(p_shown, ''), true);
    END IF;
END
$$;

-- The bodies below the one that acts. What was found is kept for the transaction: so whoever is denied a case can be made
-- to wait for it where there was no case, and no row, that would have asked (hot.sql, `read_case`).
CREATE OR REPLACE FUNCTION bodies_below() RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    found text := nullif(current_setting('mediation.below', true), '');
BEGIN
    IF found IS NULL THEN
        SELECT coalesce(array_agg(o.id), '{}')::text INTO found FROM organisations o
        WHERE o.path @> ARRAY[nullif(current_setting('mediation.org', true), '')::uuid];
        PERFORM set_config('mediation.below', found, true);
    END IF;
    RETURN found::uuid[];
END
$$;

-- The bodies in the division where an auditor has jurisdiction, kept likewise. Codes are digits, and ':' is the sign
-- after '9'.
CREATE OR REPLACE FUNCTION bodies_audited() RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    audits text := nullif(current_setting('mediation.audits', true), '');
    found text := nullif(current_setting('mediation.audited', true), '');
BEGIN
    IF found IS NULL THEN
        SELECT coalesce(array_agg(o.id), '{}')::text INTO found FROM organisations o
        WHERE o.division >= audits AND o.division < audits || ':';
        PERFORM set_config('mediation.audited', found, true);
    END IF;
    RETURN found::uuid[];
END
$$;

-- Whether an auditor has jurisdiction over every body there is, and so may follow the whole log.
CREATE OR REPLACE FUNCTION follows() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('mediation.audits', true), '') IS NOT NULL
       AND NOT EXISTS (SELECT FROM organisations o
                       WHERE NOT starts_with(o.division, nullif(current_setting('mediation.audits', true), '')))
$$;

-- Whether the case is one that is seen, and not only in hand: for rows of other tables that belong to one that is not, and
-- before anything is destroyed or disclosed of one that is.
CREATE OR REPLACE FUNCTION sees(p_case uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    in_hand text := nullif(current_setting('mediation.case', true), '');
    found boolean;
BEGIN
    IF in_hand IS NULL THEN
        RETURN EXISTS (SELECT FROM cases c WHERE c.id = p_case);
    END IF;
    PERFORM set_config('mediation.case', '', true);
    found := EXISTS (SELECT FROM cases c WHERE c.id = p_case);
    PERFORM set_config('mediation.case', in_hand, true);
    RETURN found;
END
$$;

DO $$
DECLARE
    person text := $x$ nullif(current_setting('mediation.person', true), '')::uuid $x$;
    org text := $x$ nullif(current_setting('mediation.org', true), '')::uuid $x$;
    this_case text := $x$ nullif(current_setting('mediation.case', true), '')::uuid $x$;
    this_event text := $x$ nullif(current_setting('mediation.event', true), '')::uuid $x$;
    -- False and not null where there is nothing: null AND EXISTS (…) is false only once the EXISTS has been looked for.
    may text := $x$ coalesce(nullif(current_setting('mediation.may', true), '') LIKE '%%%s%%', false) $x$;
    shown text := $x$ nullif(current_setting('mediation.shown', true), '') $x$;
    grams text := $x$ (SELECT nullif(current_setting('mediation.grams', true), '')::bigint[]) $x$;
    -- The stretches of time that are looked into. All time has a word of its own: for an empty array GIN walks its whole index.
    stretches text := $x$ (SELECT coalesce(nullif(current_setting('mediation.stretches', true), ''), '{""}')::text[]) $x$;
    -- The list of the body acted for; an auditor goes by none, but by the words alone.
    list text := $x$ (SELECT CASE WHEN nullif(current_setting('mediation.audits', true), '') IS NULL
                      THEN ARRAY[nullif(current_setting('mediation.org', true), '')::uuid] END) $x$;
    everywhere text := $x$ (SELECT CASE WHEN nullif(current_setting('mediation.audits', true), '') IS NOT NULL
                            THEN nullif(current_setting('mediation.grams', true), '')::bigint[] END) $x$;
    lowest text := $x$ nullif(current_setting('mediation.audits', true), '') $x$;
    following text := $x$ (nullif(current_setting('mediation.follows', true), '') IS NOT NULL) $x$;
    below text := '(SELECT bodies_below())';
    audited text := '(SELECT bodies_audited())';
    -- For the clock the lowest id there is, for anybody else nothing to compare with.
    clock text := $x$ (CASE WHEN nullif(current_setting('mediation.may', true), '') = 'clock'
                       THEN '00000000-0000-0000-0000-000000000000'::uuid END) $x$;
    seen text;
    written text := 'case_id = ' || this_case;
    erased text := format('%s AND sees(%s)', written, this_case);
    of_case text := format('(case_id = %s OR sees(case_id))', this_case);
    -- Whoever goes by the list of their body sees no case that is not in it: a tenth of the price of `sees`, for a party to
    -- thousands of cases.
    listed text := format($x$ ((SELECT %s IS NOT NULL OR %s IS NOT NULL OR %s IS NOT NULL)
        OR EXISTS (SELECT FROM worklists w WHERE w.org = %s AND w.case_id = vault.case_id OFFSET 0)) $x$, lowest, shown, clock, org);
    -- For pages of many cases, where a call for each would take longer than the look. Without its OFFSET it is planned as a
    -- list of all cases seen, made anew for each page.
    one_by_one text := 'EXISTS (SELECT FROM cases c WHERE c.id = case_id OFFSET 0)';
    -- The log of administration is a history in `events` like any other; this is its `case_id`.
    the_log text := $x$ '8d7e034d-2138-5a8b-809a-92db1fc0bc68'::uuid $x$;
    name text;
BEGIN
    -- Whether it is a case of a body below is asked of the few bodies that it names, as there may be thousands below.
    seen := format($x$ (
        (orgs @> ARRAY[%s] AND (%s OR %s AND (NOT restricted OR assigned @> ARRAY[%s] OR assigned = '{}')))
        OR ((NOT restricted AND (%s OR %s) OR %s)
            AND EXISTS (SELECT FROM organisations o WHERE o.id = ANY (orgs) AND %s = ANY (o.path)))
        OR (((division >= %s AND division < %s || ':') OR orgs && %s) AND %s IS NOT NULL AND NOT closers @> ARRAY[%s])
        OR number = %s
    ) AND NOT recused @> ARRAY[%s] OR id >= %s $x$,
        org, format(may, 'all'), format(may, 'assigned'), person,
        format(may, 'all'), format(may, 'assigned'), format(may, 'above'), org,
        lowest, lowest, audited, lowest, person,
        shown, person, clock);

    FOREACH name IN ARRAY ARRAY['cases', 'events', 'event_keys', 'outbox', 'feed', 'vault', 'vault_keys', 'vault_words',
                                'erasures', 'case_numbers', 'disclosures', 'access_outbox', 'access_feed', 'spans',
                                'attempts', 'worklists', 'tallies', 'case_refs'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE (SELECT coalesce(string_agg(format('DROP POLICY %I ON %I', p.policyname, p.tablename), ';'), 'SELECT')
                 FROM pg_policies p WHERE p.schemaname = current_schema() AND p.tablename = name);
    END LOOP;

    -- A step may take the case out of its own writer's sight (a returned offer): then the case being written is seen.
    -- It stands first, so that a step, which the policy for its update judges, is not judged twice.
    EXECUTE format('CREATE POLICY seen ON cases FOR SELECT TO mediation_app, mediation_owner USING (id = %s OR %s)', this_case, seen);
    EXECUTE format('CREATE POLICY opened ON cases FOR INSERT TO mediation_app WITH CHECK (id = %s)', this_case);
    EXECUTE format('CREATE POLICY moved ON cases FOR UPDATE TO mediation_app USING (%s OR (id = %s AND version = 0)) WITH CHECK (id = %s)',
                   seen, this_case, this_case);

    EXECUTE format('CREATE POLICY seen ON events FOR SELECT TO mediation_app USING (id = %s OR %s OR (case_id = %s AND %s) OR (%s AND (SELECT follows())) OR %s)',
                   this_event, written, the_log, format(may, 'oversees'), following, one_by_one);
    EXECUTE format('CREATE POLICY appended ON events FOR INSERT TO mediation_app WITH CHECK (%s)', written);
    EXECUTE 'CREATE POLICY integrated ON events FOR SELECT TO mediation_log USING (id IS NOT NULL)';

    EXECUTE format('CREATE POLICY own ON event_keys FOR SELECT TO mediation_app USING (caller = %s)', person);
    EXECUTE format('CREATE POLICY kept ON event_keys FOR INSERT TO mediation_app WITH CHECK (caller = %s AND %s)', person, written);

    -- Where a case is listed is an id, a state and a day; whether it is seen is asked of the case itself. Who asks is read once a
    -- statement, and not once a row: what is late in a county is counted in thousands of them.
    EXECUTE format('CREATE POLICY listed ON worklists FOR SELECT TO mediation_app'
                   ' USING (org = (SELECT %s) OR org = ANY (%s::uuid[]) OR %s OR %s IS NOT NULL)', org, below, written, clock);
    EXECUTE format('CREATE POLICY entered ON worklists FOR INSERT TO mediation_app WITH CHECK (%s OR %s IS NOT NULL)', written, clock);
    EXECUTE format('CREATE POLICY moved ON worklists FOR UPDATE TO mediation_app USING (%s OR %s IS NOT NULL) WITH CHECK (%s OR %s IS NOT NULL)',
                   written, clock, written, clock);
    EXECUTE format('CREATE POLICY gone ON worklists FOR DELETE TO mediation_app USING (%s OR %s IS NOT NULL)', written, clock);

    -- By the ten thousand at once: so these are looked up, and not gone through.
    EXECUTE format('CREATE POLICY seen ON case_refs FOR SELECT TO mediation_app USING (%s OR %s IS NOT NULL OR %s)', written, clock, one_by_one);
    EXECUTE format('CREATE POLICY noted ON case_refs FOR INSERT TO mediation_app WITH CHECK (%s OR %s IS NOT NULL)', written, clock);

    EXECUTE format('CREATE POLICY seen ON tallies FOR SELECT TO mediation_app USING ('
                   'org IN (SELECT unnest(%s::uuid[] || %s)) OR org IN (SELECT unnest(%s::uuid[]) WHERE %s IS NOT NULL) OR org >= %s)',
                   below, org, audited, lowest, clock);
    -- Only where a body is moved, in nobody's name: a step says in `outbox` what it adds, and the sequencer adds it.
    EXECUTE format('CREATE POLICY moved_in ON tallies FOR INSERT TO mediation_app WITH CHECK (org >= %s)', clock);
    EXECUTE format('CREATE POLICY moved ON tallies FOR UPDATE TO mediation_app USING (org >= %s) WITH CHECK (org >= %s)', clock, clock);
    EXECUTE 'CREATE POLICY known ON tallies FOR SELECT TO mediation_log USING (org IS NOT NULL)';
    EXECUTE 'CREATE POLICY begun ON tallies FOR INSERT TO mediation_log WITH CHECK (org IS NOT NULL)';
    EXECUTE 'CREATE POLICY counted ON tallies FOR UPDATE TO mediation_log USING (org IS NOT NULL) WITH CHECK (org IS NOT NULL)';

    EXECUTE format('CREATE POLICY queued ON outbox FOR INSERT TO mediation_app WITH CHECK (%s)', written);
    EXECUTE 'CREATE POLICY drained ON outbox FOR SELECT TO mediation_log USING (id IS NOT NULL)';
    EXECUTE 'CREATE POLICY emptied ON outbox FOR DELETE TO mediation_log USING (id IS NOT NULL)';

    -- A place in the feed is a number and an event's id; what the event says is behind the policy of `events`.
    EXECUTE format('CREATE POLICY followed ON feed FOR SELECT TO mediation_app USING (%s IS NOT NULL)', org);
    EXECUTE 'CREATE POLICY numbered ON feed FOR SELECT TO mediation_log USING (event IS NOT NULL)';
    EXECUTE 'CREATE POLICY placed ON feed FOR INSERT TO mediation_log WITH CHECK (event IS NOT NULL)';

    -- How a case stood is seen by whoever sees the case as it stands, and by whoever follows the whole log.
    EXECUTE format('CREATE POLICY seen ON spans FOR SELECT TO mediation_app USING (%s OR (%s AND (SELECT follows())) OR %s)',
                   written, following, one_by_one);
    EXECUTE 'CREATE POLICY known ON spans FOR SELECT TO mediation_log USING (position IS NOT NULL)';
    EXECUTE 'CREATE POLICY begun ON spans FOR INSERT TO mediation_log WITH CHECK (position IS NOT NULL)';
    EXECUTE 'CREATE POLICY ended ON spans FOR UPDATE TO mediation_log USING (position IS NOT NULL) WITH CHECK (position IS NOT NULL)';

    EXECUTE format('CREATE POLICY seen ON vault FOR SELECT TO mediation_app USING (case_id = %s OR %s AND sees(case_id))', this_case, listed);
    EXECUTE format('CREATE POLICY sealed ON vault FOR INSERT TO mediation_app WITH CHECK (%s)', written);
    EXECUTE format('CREATE POLICY erased ON vault FOR DELETE TO mediation_app USING (%s)', erased);
    EXECUTE format('CREATE POLICY seen ON vault_keys FOR SELECT TO mediation_app USING (%s)', of_case);
    EXECUTE format('CREATE POLICY wrapped ON vault_keys FOR INSERT TO mediation_app WITH CHECK (%s)', written);
    EXECUTE format('CREATE POLICY destroyed ON vault_keys FOR DELETE TO mediation_app USING (%s)', erased);
    -- Keyed hashes of pairs of characters: seen only by whoever asks for these very words, and of the cases they see. Through
    -- their index they are asked for by `cases_holding` alone, which runs as the owner: else each find would be asked of its
    -- case before it is known to be among the newest. So the owner sees what is asked for, and in nobody's name nothing.
    EXECUTE format('CREATE POLICY asked ON vault_words FOR SELECT TO mediation_app USING ((grams @> %s AND %s) OR %s OR case_id >= %s)',
                   grams, one_by_one, written, clock);
    EXECUTE format('CREATE POLICY sought ON vault_words FOR SELECT TO mediation_owner USING ('
                   '(grams @> %s AND lists @> %s AND stretches && %s) OR (grams @> %s AND stretches && %s))',
                   grams, list, stretches, everywhere, stretches);
    EXECUTE format('CREATE POLICY moved ON vault_words FOR UPDATE TO mediation_app USING (%s OR case_id >= %s) WITH CHECK (%s OR case_id >= %s)',
                   written, clock, written, clock);
    EXECUTE format('CREATE POLICY indexed ON vault_words FOR INSERT TO mediation_app WITH CHECK (%s)', written);
    EXECUTE format('CREATE POLICY erased ON vault_words FOR DELETE TO mediation_app USING (%s)', erased);

    EXECUTE format('CREATE POLICY seen ON erasures FOR SELECT TO mediation_app USING (%s)', of_case);
    EXECUTE format('CREATE POLICY noted ON erasures FOR INSERT TO mediation_app WITH CHECK (%s)', erased);

    EXECUTE format('CREATE POLICY own ON case_numbers FOR SELECT TO mediation_app USING (org = %s)', org);
    EXECUTE format('CREATE POLICY begun ON case_numbers FOR INSERT TO mediation_app WITH CHECK (org = %s)', org);
    EXECUTE format('CREATE POLICY counted ON case_numbers FOR UPDATE TO mediation_app USING (org = %s) WITH CHECK (org = %s)', org, org);

    EXECUTE format('CREATE POLICY written ON disclosures FOR INSERT TO mediation_app WITH CHECK ('
                   'person = %s AND org = %s AND (case_id IS NULL OR sees(case_id)))', person, org);
    EXECUTE format('CREATE POLICY overseen ON disclosures FOR SELECT TO mediation_app USING ('
                   '(%s AND (org = %s OR org = ANY (%s::uuid[]))) OR (%s IS NOT NULL AND org = ANY (%s::uuid[])))',
                   format(may, 'oversees'), org, below, lowest, audited);
    EXECUTE 'CREATE POLICY integrated ON disclosures FOR SELECT TO mediation_log USING (id IS NOT NULL)';
    EXECUTE format('CREATE POLICY queued ON access_outbox FOR INSERT TO mediation_app WITH CHECK (%s IS NOT NULL)', person);
    EXECUTE 'CREATE POLICY drained ON access_outbox FOR SELECT TO mediation_log USING (id IS NOT NULL)';
    EXECUTE 'CREATE POLICY emptied ON access_outbox FOR DELETE TO mediation_log USING (id IS NOT NULL)';
    EXECUTE format('CREATE POLICY followed ON access_feed FOR SELECT TO mediation_app USING (%s IS NOT NULL)', org);
    EXECUTE 'CREATE POLICY numbered ON access_feed FOR SELECT TO mediation_log USING (disclosure IS NOT NULL)';
    EXECUTE 'CREATE POLICY placed ON access_feed FOR INSERT TO mediation_log WITH CHECK (disclosure IS NOT NULL)';
    -- An attempt may be anybody's, also nobody's: it is written down in no one's name.
    EXECUTE 'CREATE POLICY written ON attempts FOR INSERT TO mediation_app WITH CHECK (status >= 400)';
    EXECUTE format('CREATE POLICY overseen ON attempts FOR SELECT TO mediation_app USING ('
                   '%s AND (org = %s OR org = ANY (%s::uuid[]) OR (org IS NULL AND EXISTS ('
                   'SELECT FROM organisations o WHERE o.id = %s AND o.superior IS NULL))))',
                   format(may, 'guards'), org, below, org);
END
$$;
