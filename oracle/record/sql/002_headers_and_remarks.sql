-- The target of a block's header, compact: how much work two branches hold is told from it. NULL in older rows.
ALTER TABLE blocks ADD COLUMN bits BIGINT;

-- What a person should know about a run that did not fail: a list of {code, message}. NULL in older rows.
ALTER TABLE runs ADD COLUMN remarks JSON;

CREATE OR REPLACE VIEW now_blocks AS FROM blocks WHERE replaced_at_unix IS NULL;
