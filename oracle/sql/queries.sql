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
SELECT height, hash FROM now_blocks
WHERE height > (SELECT max(height) FROM now_blocks) - $newest OR height = $or_height ORDER BY height DESC

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
SELECT d.*, p.window_confidence
FROM (SELECT *, rowid AS number FROM divergences WHERE replaced_at_unix IS NULL ORDER BY number DESC LIMIT $newest) AS d
LEFT JOIN now_prices AS p USING (height) ORDER BY number DESC

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
SELECT * FROM runs WHERE outcome <> 'failed' OR $or_failed ORDER BY rowid DESC LIMIT 1

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
WITH our_dates AS (SELECT date FROM now_days), our_hashes AS (SELECT hash FROM now_blocks),
    our_ticks AS (SELECT time_unix FROM divergences),
    our_heights AS (SELECT height FROM backup.now_blocks JOIN now_blocks USING (height, hash))
INSERT INTO {table} BY NAME SELECT * FROM backup.{table} WHERE {condition}

-- What the site reads (oracle/reader.py). Questions about the newest rows cost the same on any length of history,
-- because the tables are filled in the order of the chain. Prices in site_history are to the cent, so that a week of
-- ticks stays small on the wire.

-- name: site_views
CREATE OR REPLACE TEMP VIEW now_blocks AS FROM blocks WHERE replaced_at_unix IS NULL;
CREATE OR REPLACE TEMP VIEW now_prices AS FROM prices WHERE replaced_at_unix IS NULL;
CREATE OR REPLACE TEMP VIEW now_days AS FROM days WHERE replaced_at_unix IS NULL;
CREATE OR REPLACE TEMP VIEW now_divergences AS FROM divergences WHERE replaced_at_unix IS NULL;

-- name: site_facts
FROM facts_of_database ORDER BY name

-- name: site_tip
FROM now_blocks ORDER BY height DESC LIMIT 1

-- name: site_block
FROM now_blocks WHERE height = $height

-- name: site_price
FROM now_prices ORDER BY height DESC LIMIT 1

-- name: site_exchange
FROM exchange_samples ORDER BY sampled_at_unix DESC, quoted_at_unix DESC LIMIT 1

-- name: site_divergence
FROM now_divergences ORDER BY time_unix DESC, height DESC LIMIT 1

-- name: site_days
SELECT * EXCLUDE (date, replaced_at_unix), strftime(date, '%Y-%m-%d') AS date,
    (price_usd / exchange_mean_usd - 1) * 100 AS divergence_percent
FROM now_days ORDER BY now_days.date

-- name: site_history
SELECT d.time_unix, d.height, round(p.spot_usd, 2) AS spot_usd, round(p.spot_low_usd, 2) AS spot_low_usd,
    round(p.spot_high_usd, 2) AS spot_high_usd, round(p.window_usd, 2) AS window_usd,
    round(d.exchange_usd, 2) AS exchange_usd, round(d.headline_percent, 4) AS divergence_percent, d.leg,
    round(if(p.spot_usd IS NULL, p.window_confidence, p.spot_confidence), 4) AS confidence,
    if(p.spot_usd IS NULL, p.window_is_valid, p.spot_is_valid) AS is_valid,
    if(p.spot_usd IS NULL, p.window_points, p.spot_points) AS points
FROM now_divergences AS d JOIN now_prices AS p USING (height)
WHERE d.time_unix >= $first ORDER BY d.time_unix, d.height

-- name: site_episodes
FROM episodes ORDER BY started_at_unix DESC, kind

-- name: site_runs
FROM runs ORDER BY started_at_unix DESC, ended_at_unix DESC LIMIT 30

-- name: site_last_run
FROM runs WHERE (outcome = 'failed') = $failed ORDER BY started_at_unix DESC LIMIT 1

-- name: site_counts
SELECT count(*) AS blocks, min(height) AS first_height, max(height) AS last_height,
    (SELECT count(*) FROM now_prices) AS prices, (SELECT count(*) FROM now_days) AS days,
    (SELECT count(*) FROM exchange_samples) AS exchange_samples, (SELECT count(*) FROM episodes) AS episodes
FROM now_blocks

-- name: site_gaps
SELECT previous + 1 AS first_height, height - 1 AS last_height
FROM (SELECT height, lag(height) OVER (ORDER BY height) AS previous FROM now_blocks)
WHERE height > previous + 1 ORDER BY height

-- name: site_left_out
SELECT left_out FROM now_blocks WHERE height BETWEEN $first AND $last

-- name: site_window_blocks
SELECT height, time_unix FROM now_blocks WHERE height BETWEEN $first AND $last ORDER BY height

-- name: site_window_outputs
SELECT height, value_sats, is_round FROM outputs
WHERE replaced_at_unix IS NULL AND height BETWEEN $first AND $last AND parent_height < $first
ORDER BY height, rowid

-- What tells one closed history from another without reading it: the last hash stands for the whole chain before it,
-- the counts for what may be filled in later.
-- name: site_closed_prices
SELECT (SELECT hash FROM now_blocks WHERE height = $end - 1) AS last_hash,
    (SELECT count(*) FROM now_prices WHERE height < $end) AS prices,
    (SELECT count(exchange_usd) FROM now_divergences WHERE height < $end) AS comparisons

-- name: site_closed_exchange
SELECT count(*) AS samples, max(sampled_at_unix) AS last_unix FROM exchange_samples WHERE sampled_at_unix < $end

-- name: site_months
SELECT strftime(month, '%Y-%m') AS month, epoch(month)::BIGINT AS first_unix,
    epoch(month + INTERVAL 1 MONTH)::BIGINT AS end_unix, count(*) AS blocks, arg_max(hash, height) AS last_hash
FROM (SELECT *, date_trunc('month', make_timestamp(time_unix * 1000000)) AS month FROM now_blocks)
GROUP BY ALL ORDER BY month

-- name: site_price_rows
SELECT p.height, p.hash, p.time_unix * 1000 AS time, p.algorithm_version,
    p.spot_usd, p.spot_low_usd, p.spot_high_usd, p.spot_confidence, p.spot_is_valid, p.spot_reason, p.spot_points,
    p.window_usd, p.window_low_usd, p.window_high_usd, p.window_confidence, p.window_is_valid, p.window_reason,
    p.window_outputs, p.window_points,
    d.exchange_usd, d.exchange_mean_usd, d.spot_percent, d.window_percent, d.headline_percent, d.leg
FROM (FROM now_prices WHERE height >= $first AND height < $end) AS p
LEFT JOIN (
    SELECT DISTINCT ON (height) * FROM now_divergences
    WHERE height >= $first AND height < $end ORDER BY height, time_unix
) AS d USING (height)
ORDER BY height

-- name: site_exchange_rows
SELECT sampled_at_unix * 1000 AS sampled_at, quoted_at_unix * 1000 AS quoted_at, price_usd, is_stale, source,
    currencies::VARCHAR AS currencies
FROM exchange_samples WHERE sampled_at_unix >= $first AND sampled_at_unix < $end
ORDER BY sampled_at_unix, quoted_at_unix, source, price_usd

-- name: site_output_rows
SELECT height, b.time_unix * 1000 AS time, value_sats, is_round, parent_height
FROM (FROM outputs WHERE replaced_at_unix IS NULL) AS o
JOIN (FROM now_blocks WHERE time_unix >= $first AND time_unix < $end) AS b USING (height)
ORDER BY height, value_sats, parent_height
