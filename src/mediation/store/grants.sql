-- Which commands each role may give on which table; rows are for the policies of rls.sql to say. The application changes no
-- history, the sequencer (mediation_log) places it, the reader reads all and writes nothing.

GRANT SELECT ON alembic_version TO mediation_app, mediation_log;
GRANT SELECT, INSERT, UPDATE ON divisions, organisations, people, case_numbers, cases, recounts, tallies TO mediation_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON memberships, worklists TO mediation_app;
GRANT SELECT, INSERT, DELETE ON identities, vault, vault_keys, vault_words TO mediation_app;
GRANT UPDATE (lists) ON vault_words TO mediation_app;
GRANT SELECT, INSERT ON events, event_keys, case_refs, disclosures, attempts, erasures, law_sets, vault_marks TO mediation_app;
GRANT INSERT ON outbox, access_outbox TO mediation_app;
GRANT USAGE ON SEQUENCE outbox_id_seq, disclosures_id_seq, attempts_id_seq TO mediation_app;
GRANT SELECT ON feed, access_feed, spans, log_epochs, log_tiles, log_checkpoints, log_cosignatures TO mediation_app;

GRANT SELECT ON events, disclosures, organisations TO mediation_log;
GRANT SELECT, DELETE ON outbox, access_outbox TO mediation_log;
GRANT SELECT, INSERT ON feed, access_feed, log_epochs, log_checkpoints, log_cosignatures TO mediation_log;
GRANT SELECT, INSERT, UPDATE ON log_tiles, spans, tallies TO mediation_log;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO mediation_reader;
