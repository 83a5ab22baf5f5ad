-- Every statement that the product runs, by name. Parameters are $named.

-- name: make_migrations
CREATE TABLE IF NOT EXISTS migrations (number INTEGER NOT NULL)

-- name: migrations
SELECT number FROM migrations

-- name: add_migration
INSERT INTO migrations VALUES ($number)

-- name: network
SELECT value FROM facts_of_database WHERE name = 'network'

-- name: set_network
INSERT INTO facts_of_database VALUES ('network', $network), ('is_demo', if($network = 'simulated', 'true', 'false'))

-- What a tick needs to know

-- name: chain
SELECT height, hash FROM now_blocks ORDER BY height DESC LIMIT $newest

-- name: block_facts
SELECT height, hash, prev_hash, time_unix, size_bytes, transactions, outputs, left_out
FROM now_blocks WHERE height BETWEEN $first AND $last ORDER BY height

-- name: output_facts
SELECT height, value_sats, is_round, parent_height
FROM outputs WHERE height BETWEEN $first AND $last AND replaced_at_unix IS NULL ORDER BY height, rowid

-- name: recent_txids
SELECT height, txids FROM recent_txids WHERE height BETWEEN $first AND $last ORDER BY height

-- name: samples
SELECT * FROM exchange_samples WHERE sampled_at_unix >= $since ORDER BY sampled_at_unix

-- name: recent_moments
SELECT d.*, p.window_confidence FROM now_divergences AS d LEFT JOIN now_prices AS p USING (height)
ORDER BY d.time_unix DESC LIMIT $newest

-- name: newest_price
SELECT p.*, (SELECT min(time_unix) FROM now_blocks WHERE height BETWEEN window_first_height AND window_last_height)
    AS window_first_unix, (SELECT max(time_unix) FROM now_blocks WHERE height BETWEEN window_first_height
    AND window_last_height) AS window_last_unix
FROM now_prices AS p WHERE height BETWEEN $up_to - 1000 AND $up_to ORDER BY height DESC LIMIT 1

-- name: open_episodes
SELECT * FROM episodes WHERE ended_at_unix IS NULL

-- name: day_after
SELECT max(date) + 1 AS day FROM now_days WHERE last_height <= $up_to

-- name: last_run
SELECT * FROM runs WHERE outcome <> 'failed' OR $or_failed ORDER BY ended_at_unix DESC, rowid DESC LIMIT 1

-- What a tick writes

-- name: forget_txids
DELETE FROM recent_txids WHERE height < $below OR height > $above

-- name: forget_open_episodes
DELETE FROM episodes WHERE ended_at_unix IS NULL

-- name: insert
INSERT INTO {table} BY NAME SELECT * FROM new_rows

-- name: replace
UPDATE {table} SET replaced_at_unix = $now WHERE {height} > $above AND replaced_at_unix IS NULL

-- What `oracle recover` merges, by table: blocks and what hangs on them above our newest block, when the backup's
-- chain goes on from there; of the rest what we lack.

-- name: attach_backup
ATTACH '{path}' AS backup (READ_ONLY)

-- name: detach_backup
DETACH backup

-- name: merge_above
SELECT CASE WHEN t.height IS NULL THEN -1
    WHEN EXISTS (FROM backup.now_blocks WHERE height = t.height + 1 AND prev_hash = t.hash) THEN t.height
    ELSE 2147483647 END AS above
FROM (SELECT max(height) AS height, arg_max(hash, height) AS hash FROM now_blocks) AS t

-- name: merge
INSERT INTO {table} BY NAME SELECT * FROM backup.{table} WHERE {condition}
