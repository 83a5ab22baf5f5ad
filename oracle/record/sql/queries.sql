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

-- Other publishers

-- name: open_peers
SELECT * FROM peers WHERE ended_at_unix IS NULL ORDER BY peer

-- name: forget_open_peers
DELETE FROM peers WHERE ended_at_unix IS NULL

-- name: add_peer
INSERT INTO peers VALUES ($peer, $state, $since_unix, $ended_at_unix, $asked_at_unix, $problem, $problem_since_unix,
    $height, $hash, $spot_usd, $window_usd, $algorithm_version, $compared_height, $our_usd, $peer_usd,
    $difference_percent)

-- name: price_at
SELECT height, hash, algorithm_version, spot_usd, window_usd FROM now_prices WHERE height = $height

-- name: facts_of_database
SELECT name, value FROM facts_of_database

-- What a tick needs to know

-- name: chain
SELECT height, hash FROM now_blocks
WHERE height > (SELECT max(height) FROM now_blocks) - $newest OR height = $or_height ORDER BY height DESC

-- name: headers
SELECT height, hash, time_unix, bits FROM now_blocks WHERE height BETWEEN $first AND $last ORDER BY height

-- name: block_facts
SELECT height, hash, prev_hash, time_unix, size_bytes, transactions, outputs, left_out
FROM now_blocks WHERE height BETWEEN $first AND $last ORDER BY height

-- name: output_facts
SELECT height, value_sats, is_round, parent_height
FROM outputs WHERE height BETWEEN $first AND $last AND replaced_at_unix IS NULL ORDER BY height, rowid

-- name: recent_txids
SELECT height, txids FROM recent_txids WHERE height BETWEEN $first AND $last ORDER BY height

-- name: samples
SELECT * FROM exchange_samples WHERE sampled_at_unix BETWEEN $since AND $until ORDER BY sampled_at_unix

-- name: recent_moments
SELECT d.*, p.window_confidence
FROM (
    SELECT *, rowid AS number FROM divergences WHERE replaced_at_unix IS NULL AND height <= $up_to
    ORDER BY height DESC, number DESC LIMIT $newest
) AS d
LEFT JOIN now_prices AS p USING (height) ORDER BY height DESC, number DESC

-- name: newest_price
FROM now_prices WHERE height BETWEEN $up_to - 1000 AND $up_to ORDER BY height DESC LIMIT 1

-- name: span
SELECT min(time_unix) AS first_unix, max(time_unix) AS last_unix FROM now_blocks WHERE height BETWEEN $first AND $last

-- name: open_episodes
SELECT * FROM episodes WHERE ended_at_unix IS NULL

-- name: episode
SELECT * FROM episodes WHERE kind = $kind AND started_at_unix = $started_at_unix

-- name: day_after
SELECT max(date) + 1 AS day FROM now_days WHERE last_height <= $up_to

-- name: last_run
SELECT * FROM runs WHERE outcome <> 'failed' OR $or_failed ORDER BY rowid DESC LIMIT 1

-- What a tick writes

-- name: forget_txids
DELETE FROM recent_txids WHERE height < $below OR height > $above

-- name: forget_open_episodes
DELETE FROM episodes WHERE ended_at_unix IS NULL

-- name: insert_row
INSERT INTO {table} ({columns}) VALUES ({values})

-- name: insert
INSERT INTO {table} BY NAME SELECT * FROM new_rows

-- name: replace
UPDATE {table} SET replaced_at_unix = $now WHERE {height} > $above AND replaced_at_unix IS NULL

-- What `oracle recover` merges, by table: blocks and what hangs on them above our newest block, when the backup's
-- chain goes on from there; of the rest what we lack.

-- name: tables
SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'

-- name: whole_table
FROM main.{table}

-- name: merge_above
SELECT CASE WHEN t.height IS NULL THEN -1
    WHEN EXISTS (
        FROM backup_blocks
        WHERE replaced_at_unix IS NULL AND height = t.height + 1 AND prev_hash = t.hash
    ) THEN t.height
    ELSE 2147483647 END AS above
FROM (SELECT max(height) AS height, arg_max(hash, height) AS hash FROM now_blocks) AS t

-- name: merge
WITH our_dates AS (SELECT date FROM now_days), our_hashes AS (SELECT hash FROM now_blocks),
    our_ticks AS (SELECT time_unix FROM divergences),
    our_heights AS (
        SELECT height FROM now_blocks
        JOIN (FROM backup_blocks WHERE replaced_at_unix IS NULL) USING (height, hash)
    )
INSERT INTO {table} BY NAME SELECT * FROM backup_{table} WHERE {condition}

-- A stretch of the past, cut out of one database and added to another. Rows are added in the order of the chain, but
-- after newer ones: nothing may take the order of rows for that of blocks.

-- name: held
SELECT b.height, p.height IS NOT NULL AS is_priced
FROM now_blocks AS b LEFT JOIN (SELECT DISTINCT height FROM now_prices) AS p USING (height)

-- name: cut_blocks
FROM now_blocks WHERE height BETWEEN $first AND $last ORDER BY height

-- name: cut_outputs
FROM outputs WHERE height BETWEEN $first AND $last AND replaced_at_unix IS NULL ORDER BY height, rowid

-- name: cut_prices
FROM now_prices WHERE height BETWEEN $first AND $last ORDER BY height

-- name: cut_days
FROM now_days WHERE last_height BETWEEN $first AND $last ORDER BY date

-- name: cut_exchange_samples
FROM exchange_samples WHERE sampled_at_unix IN (
    SELECT time_unix FROM now_blocks WHERE height BETWEEN $first AND $last
) ORDER BY sampled_at_unix

-- name: cut_divergences
FROM now_divergences WHERE height BETWEEN $first AND $last ORDER BY height

-- The lowest block that is not the one that is there, or does not follow it.
-- name: history_misfit
SELECT min(height) FROM (
    SELECT n.height FROM new_blocks AS n JOIN now_blocks AS b USING (height) WHERE n.hash <> b.hash
    UNION ALL
    SELECT n.height FROM new_blocks AS n JOIN now_blocks AS b ON b.height = n.height + 1 WHERE b.prev_hash <> n.hash
    UNION ALL
    SELECT n.height FROM new_blocks AS n JOIN now_blocks AS b ON b.height = n.height - 1 WHERE n.prev_hash <> b.hash
)

-- name: forget_history
DELETE FROM {table} WHERE replaced_at_unix IS NULL AND height IN (SELECT height FROM new_blocks)

-- Only of blocks that come anew: those that were there have had their quotes.
-- name: add_exchange_samples
INSERT INTO exchange_samples BY NAME
SELECT * FROM new_exchange_samples
WHERE sampled_at_unix IN (SELECT time_unix FROM new_blocks ANTI JOIN now_blocks USING (height))
    AND sampled_at_unix NOT IN (SELECT sampled_at_unix FROM exchange_samples)

-- name: add_blocks
INSERT INTO blocks BY NAME SELECT * FROM new_blocks

-- name: add_outputs
INSERT INTO outputs BY NAME SELECT * FROM new_outputs

-- name: add_prices
INSERT INTO prices BY NAME SELECT * FROM new_prices WHERE height NOT IN (SELECT height FROM now_prices)

-- name: add_days
INSERT INTO days BY NAME SELECT * FROM new_days WHERE date NOT IN (SELECT date FROM now_days)

-- name: add_divergences
INSERT INTO divergences BY NAME
SELECT * FROM new_divergences WHERE height NOT IN (SELECT height FROM now_divergences)

-- What a record says of the exchange, completed afterwards by `oracle import-quotes`.

-- name: lacking
SELECT * EXCLUDE (replaced_at_unix) FROM now_divergences
WHERE time_unix BETWEEN $first AND $last AND (exchange_usd IS NULL OR exchange_mean_usd IS NULL) ORDER BY height, time_unix

-- name: lacking_prices
SELECT * EXCLUDE (replaced_at_unix) FROM now_prices WHERE height IN (
    SELECT height FROM now_divergences
    WHERE time_unix BETWEEN $first AND $last AND (exchange_usd IS NULL OR exchange_mean_usd IS NULL)
)

-- name: lacking_spans
SELECT p.height, min(b.time_unix) AS first_unix, max(b.time_unix) AS last_unix
FROM (
    SELECT DISTINCT height, window_first_height, window_last_height
    FROM now_divergences JOIN now_prices USING (height)
    WHERE now_divergences.time_unix BETWEEN $first AND $last AND (exchange_usd IS NULL OR exchange_mean_usd IS NULL)
) AS p JOIN now_blocks AS b ON b.height BETWEEN p.window_first_height AND p.window_last_height
GROUP BY p.height

-- name: unpriced
SELECT height, time_unix FROM now_blocks ANTI JOIN now_divergences USING (height)
WHERE time_unix BETWEEN $first AND $last

-- name: lacking_days
SELECT date, exchange_mean_usd, exchange_close_usd FROM now_days
WHERE date BETWEEN $first AND $last AND (exchange_mean_usd IS NULL OR exchange_close_usd IS NULL) ORDER BY date

-- name: amend_exchange_samples
INSERT INTO exchange_samples BY NAME SELECT * FROM new_exchange_samples

-- name: amend_moments
UPDATE divergences SET exchange_usd = n.exchange_usd, spot_percent = n.spot_percent,
    exchange_mean_usd = n.exchange_mean_usd, window_percent = n.window_percent,
    headline_percent = n.headline_percent, leg = n.leg, is_large = n.is_large
FROM new_moments AS n
WHERE divergences.time_unix = n.time_unix AND divergences.height = n.height AND divergences.replaced_at_unix IS NULL

-- name: amend_days
UPDATE days SET exchange_mean_usd = n.exchange_mean_usd, exchange_close_usd = n.exchange_close_usd
FROM new_days AS n WHERE days.date = n.date AND days.replaced_at_unix IS NULL

-- What the site reads (oracle/reader.py), in the order in which it is published. Questions about the newest rows cost
-- the same on any length of history, because the tables are filled in the order of the chain.

-- Blocks beside the first comparison made at that tip, and how far percentages are from zero.
-- name: site_views
CREATE OR REPLACE TEMP VIEW compared AS
    SELECT p.*, d.time_unix AS compared_at_unix, d.exchange_usd, d.exchange_mean_usd, d.spot_percent, d.window_percent, d.headline_percent, d.leg
    FROM now_prices AS p LEFT JOIN (SELECT DISTINCT ON (height) * FROM now_divergences ORDER BY height, time_unix) AS d
    USING (height);
CREATE OR REPLACE TEMP VIEW chain_kind AS
    SELECT coalesce(max(value) FILTER (name = 'network'), 'unknown') AS network,
        coalesce(bool_or(lower(value) = 'true') FILTER (name = 'is_demo'), false) AS is_simulated
    FROM facts_of_database;
-- What the valid spot prices did within each final day, and within each hour in which blocks came. Each price stands
-- until the next one, for the mean; header times may go back: a block belongs to the time in which it came.
CREATE OR REPLACE TEMP MACRO spot_candle(height, usd, seconds) AS {
    'spot_open_usd': arg_min(usd, height), 'spot_high_usd': max(usd), 'spot_low_usd': min(usd),
    'spot_close_usd': arg_max(usd, height),
    'spot_mean_usd': coalesce(round(fsum(usd * seconds) / nullif(sum(seconds), 0), 4), arg_max(usd, height)),
    'spot_blocks': count(*)
};
CREATE OR REPLACE TEMP MACRO day_candles(lowest, highest) AS TABLE
    SELECT date, unnest(spot_candle(height, spot_usd, seconds))
    FROM (
        SELECT *, lead(from_unix, 1, start_unix + 86400) OVER (PARTITION BY date ORDER BY height) - from_unix AS seconds
        FROM (
            SELECT date, start_unix, height, spot_usd, least(start_unix + 86400,
                greatest(start_unix, max(time_unix) OVER (PARTITION BY date ORDER BY height))) AS from_unix
            FROM (
                FROM now_prices WHERE height BETWEEN lowest - 1000 AND highest AND spot_is_valid AND spot_usd IS NOT NULL
            ) AS p ASOF JOIN (
                SELECT date, epoch(date)::BIGINT AS start_unix, first_height, last_height
                FROM now_days WHERE last_height BETWEEN lowest AND highest
            ) AS d ON p.height >= d.first_height
            WHERE p.height <= d.last_height
        )
    ) GROUP BY date;
CREATE OR REPLACE TEMP MACRO errors(percent) AS {
    'n': count(percent), 'median_percent': round(median(abs(percent)), 4),
    'p95_percent': round(quantile_cont(abs(percent), 0.95), 4), 'rmse_percent': round(sqrt(avg(percent * percent)), 4),
    'worst_percent': round(arg_max(percent, abs(percent)), 4), 'bias_percent': round(avg(percent), 4)
}

-- name: site_facts
FROM facts_of_database ORDER BY name

-- name: site_tip
SELECT height, hash, time_unix, greatest(0, $now - time_unix) AS age_seconds FROM now_blocks ORDER BY height DESC LIMIT 1

-- name: site_block
SELECT height, hash, time_unix FROM now_blocks WHERE height = $height

-- name: site_spot
SELECT spot_points AS points, spot_usd AS price_usd, spot_low_usd AS low_usd, spot_high_usd AS high_usd,
    spot_confidence AS confidence, spot_is_valid AS is_valid, spot_reason AS reason,
    spot_first_height AS first_height, spot_last_height AS last_height, algorithm_version
FROM now_prices ORDER BY height DESC LIMIT 1

-- What the valid spot prices did until the newest block: since the newest of them of a day, a week and thirty days
-- before, where there is one that is at most three hours older. Thirty days have fewer than 10,000 blocks: so far back
-- rows are looked at, and not through all of history.
-- name: site_changes
SELECT days, arg_max(spot_usd, height) FILTER (time_unix <= from_unix) AS from_usd,
    max(height) FILTER (time_unix <= from_unix) AS from_height,
    round(100 * (any_value(newest_usd) / from_usd - 1), 4) AS percent,
    if(from_usd IS NULL, NULL, min(spot_usd) FILTER (time_unix > from_unix)) AS low_usd,
    if(from_usd IS NULL, NULL, max(spot_usd) FILTER (time_unix > from_unix)) AS high_usd
FROM (
    SELECT days, time_unix - 86400 * days AS from_unix, time_unix AS newest_unix, height AS newest_height,
        if(spot_is_valid, spot_usd, NULL) AS newest_usd
    FROM (FROM now_prices ORDER BY height DESC LIMIT 1), (VALUES (1), (7), (30)) AS spans(days)
) AS span LEFT JOIN (
    SELECT height, time_unix, spot_usd FROM now_prices
    WHERE height > (SELECT max(height) FROM now_prices) - 10000 AND spot_is_valid AND spot_usd IS NOT NULL
) AS p ON p.time_unix >= span.from_unix - 10800 AND p.height <= span.newest_height
GROUP BY days ORDER BY days

-- name: site_window
SELECT window_usd AS price_usd, window_low_usd AS low_usd, window_high_usd AS high_usd,
    window_confidence AS confidence, window_is_valid AS is_valid, window_reason AS reason,
    window_first_height AS first_height, window_last_height AS last_height,
    window_last_height - window_first_height + 1 AS blocks, window_outputs AS outputs, window_points AS points,
    algorithm_version
FROM now_prices ORDER BY height DESC LIMIT 1

-- name: site_exchange
SELECT price_usd, quoted_at_unix, sampled_at_unix, greatest(0, $now - quoted_at_unix) AS age_seconds, is_stale,
    suspicion, source, currencies
FROM exchange_samples ORDER BY exchange_samples.sampled_at_unix <= $now DESC, exchange_samples.sampled_at_unix DESC,
    exchange_samples.quoted_at_unix DESC LIMIT 1

-- name: site_divergence
SELECT spot_percent, window_percent, headline_percent, leg, is_large, exchange_mean_usd, since_unix,
    headline_percent / 100 * if(leg = 'spot', exchange_usd, exchange_mean_usd) AS headline_usd
FROM (
    SELECT max(started_at_unix) AS since_unix FROM episodes WHERE kind = 'divergence' AND ended_at_unix IS NULL
) LEFT JOIN (FROM now_divergences ORDER BY time_unix <= $now DESC, time_unix DESC, height DESC LIMIT 1) ON true

-- name: site_days
SELECT * EXCLUDE (date, replaced_at_unix), strftime(date, '%Y-%m-%d') AS date,
    (price_usd / exchange_mean_usd - 1) * 100 AS divergence_percent
FROM now_days ORDER BY now_days.date

-- name: site_candles
SELECT * REPLACE (strftime(date, '%Y-%m-%d') AS date) FROM day_candles($first, $last) ORDER BY 1

-- Prices to the cent, so that a week of ticks stays small on the wire.
-- name: site_ticks
SELECT d.time_unix, d.height, round(p.spot_usd, 2) AS spot_usd, round(p.spot_low_usd, 2) AS spot_low_usd,
    round(p.spot_high_usd, 2) AS spot_high_usd, round(p.window_usd, 2) AS window_usd,
    round(d.exchange_usd, 2) AS exchange_usd, round(d.headline_percent, 4) AS divergence_percent, d.leg,
    round(if(p.spot_usd IS NULL, p.window_confidence, p.spot_confidence), 4) AS confidence,
    if(p.spot_usd IS NULL, p.window_is_valid, p.spot_is_valid) AS is_valid,
    if(p.spot_usd IS NULL, p.window_points, p.spot_points) AS points, p.algorithm_version
FROM now_divergences AS d JOIN now_prices AS p USING (height)
WHERE d.time_unix BETWEEN $first AND greatest($now, p.time_unix) ORDER BY d.time_unix, d.height

-- The last valid and the last invalid block of each step, up to a height. Header times may go back: a block belongs to
-- the step in which it came.
-- name: site_thinned
SELECT time_unix, height, round(spot_usd, 2) AS spot_usd, round(spot_low_usd, 2) AS spot_low_usd,
    round(spot_high_usd, 2) AS spot_high_usd, round(window_usd, 2) AS window_usd,
    round(exchange_usd, 2) AS exchange_usd, round(headline_percent, 4) AS divergence_percent, leg,
    round(if(spot_usd IS NULL, window_confidence, spot_confidence), 4) AS confidence,
    if(spot_usd IS NULL, window_is_valid, spot_is_valid) AS is_valid,
    if(spot_usd IS NULL, window_points, spot_points) AS points, algorithm_version
FROM (SELECT *, max(time_unix) OVER (ORDER BY height) // $step AS step FROM compared WHERE height <= $last)
WHERE time_unix >= $first
QUALIFY row_number() OVER (PARTITION BY is_valid, step ORDER BY height DESC) = 1
ORDER BY height

-- By leg and period: errors, the share inside the interval, and the errors of the baseline, which is the exchange price
-- of a day (at most 26 hours) before. `bins` counts differences by quarters of a percent from -3.
-- How far off prices were over so many days until an hour, from a height on: that must lie two days before the
-- longest of them, for what was known a day before.
-- name: site_scorecard
WITH day_spots AS MATERIALIZED (
    SELECT date, last_height, exchange_mean_usd, spot_close_usd, spot_mean_usd
    FROM now_days JOIN day_candles($first, 2147483647) USING (date)
), day_closes AS (  -- the exchange's last price of a day, where there is one of its last two hours
    SELECT (epoch_ms(quoted_at_unix * 1000))::DATE AS date, arg_max(price_usd, quoted_at_unix) AS close_usd
    FROM exchange_samples WHERE NOT is_stale AND suspicion IS NULL AND quoted_at_unix % 86400 >= 79200 GROUP BY 1
), legs AS (
    SELECT 'spot' AS leg, height AS place, max(time_unix) OVER (ORDER BY height) AS time_unix,
        if(spot_is_valid, spot_percent, NULL) AS percent, exchange_usd, spot_low_usd AS low_usd,
        spot_high_usd AS high_usd
    FROM compared WHERE height BETWEEN $first AND $last
    UNION ALL
    SELECT 'window', height, max(time_unix) OVER (ORDER BY height), if(window_is_valid, window_percent, NULL),
        exchange_mean_usd, window_low_usd, window_high_usd
    FROM compared WHERE height BETWEEN $first AND $last
    UNION ALL
    SELECT 'day', last_height, epoch(date)::BIGINT + 43200, (price_usd / exchange_mean_usd - 1) * 100,
        exchange_mean_usd, low_usd, high_usd
    FROM now_days WHERE is_valid AND last_height >= $first
    UNION ALL
    SELECT 'close', last_height, epoch(date)::BIGINT + 86400, (spot_close_usd / close_usd - 1) * 100, close_usd, NULL, NULL
    FROM day_spots LEFT JOIN day_closes USING (date)
    UNION ALL
    SELECT 'mean', last_height, epoch(date)::BIGINT + 86400, (spot_mean_usd / exchange_mean_usd - 1) * 100,
        exchange_mean_usd, NULL, NULL
    FROM day_spots
), earlier AS (
    SELECT DISTINCT ON (leg, time_unix) leg, time_unix, exchange_usd FROM legs ORDER BY leg, time_unix, place DESC
), pairs AS (
    SELECT l.leg, l.time_unix, l.percent, if(l.leg IN ('close', 'mean'), NULL,
            coalesce(l.exchange_usd BETWEEN l.low_usd AND l.high_usd, false)) AS is_inside,
        if(l.time_unix - e.time_unix <= 26 * 3600, (e.exchange_usd / l.exchange_usd - 1) * 100, NULL) AS baseline,
        if(l.time_unix - h.time_unix <= 2 * 3600, (h.exchange_usd / l.exchange_usd - 1) * 100, NULL) AS baseline_hour,
        least(floor((greatest(l.percent, -3) + 3) * 4), 23)::INTEGER AS bin
    FROM legs AS l ASOF LEFT JOIN earlier AS e ON l.leg = e.leg AND l.time_unix - 86400 >= e.time_unix
    ASOF LEFT JOIN earlier AS h ON l.leg = h.leg AND l.time_unix - 3600 >= h.time_unix
    WHERE l.percent IS NOT NULL
)
SELECT legs_of.leg, days, errors(percent) AS errors, round(avg(is_inside::INTEGER), 4) AS inside_interval_share,
    errors(baseline) AS baseline, errors(baseline_hour) AS baseline_hour, histogram(bin) FILTER (bin IS NOT NULL) AS bins
FROM (VALUES ('spot'), ('window'), ('day'), ('close'), ('mean')) AS legs_of (leg)
CROSS JOIN (SELECT unnest($periods::BIGINT[]) AS days) AS periods
LEFT JOIN pairs ON pairs.leg = legs_of.leg AND pairs.time_unix >= $hour - days * 86400
GROUP BY legs_of.leg, days ORDER BY days

-- The spot prices by year and by how many price points they had, and the day prices by year.
-- name: site_score_parts
SELECT kind, part, errors(percent) AS errors FROM (
    SELECT unnest([
        {'kind': 'spot_year', 'part': year(epoch_ms(time_unix * 1000))},
        {'kind': 'points', 'part': if(spot_points < 25, 0, least($most, 25 * 2 ** floor(log2(spot_points / 25))))::BIGINT}
    ], recursive := true), spot_percent AS percent
    FROM compared WHERE height <= $last AND spot_is_valid
    UNION ALL
    SELECT 'day_year', year(date), (price_usd / exchange_mean_usd - 1) * 100 FROM now_days WHERE is_valid
) WHERE percent IS NOT NULL GROUP BY kind, part ORDER BY kind, part

-- What the confidence of spot prices said, valid or not, and how many of them were within 5% of the exchange.
-- name: site_reliability
SELECT bin, count(*) AS n, round(avg(confidence), 4) AS said_share, round(avg(is_right::INTEGER), 4) AS right_share
FROM (
    SELECT spot_confidence AS confidence, abs(spot_usd / exchange_usd - 1) <= 0.05 AS is_right,
        len(list_filter($edges::DOUBLE[], lambda edge: edge <= spot_confidence))::INTEGER - 1 AS bin
    FROM compared WHERE height <= $last AND spot_usd IS NOT NULL AND exchange_usd IS NOT NULL
        AND (spot_percent IS NOT NULL OR NOT spot_is_valid)  -- else the quote was of another time
) GROUP BY bin ORDER BY bin

-- name: site_first_price
SELECT time_unix AS at_unix, time_unix, spot_usd, NULL::DOUBLE AS quote_usd, NULL::JSON AS currencies
FROM now_prices WHERE spot_is_valid AND spot_usd IS NOT NULL ORDER BY height LIMIT 1

-- The newest valid spot price at or before each time of a grid, and the newest quote to count of two hours before that.
-- name: site_prices_at
SELECT at_unix, p.time_unix, spot_usd,
    if(p.time_unix - sampled_at_unix <= 7200, price_usd, NULL) AS quote_usd,
    if(p.time_unix - sampled_at_unix <= 7200, currencies, NULL) AS currencies
FROM (SELECT unnest(generate_series(($first + $step - 1) // $step * $step, $last, $step))::BIGINT AS at_unix) AS grid
ASOF JOIN (
    SELECT max(time_unix) OVER (ORDER BY height) AS time_unix, spot_usd
    FROM now_prices WHERE spot_is_valid AND spot_usd IS NOT NULL AND time_unix >= $since
) AS p ON at_unix >= p.time_unix
ASOF LEFT JOIN (
    SELECT sampled_at_unix, price_usd, currencies FROM exchange_samples WHERE NOT is_stale AND suspicion IS NULL
) AS s ON p.time_unix >= sampled_at_unix
ORDER BY at_unix

-- name: site_episodes
SELECT kind, leg, peer, start_height, end_height, peak_percent, started_at_unix, ended_at_unix,
    greatest(0, coalesce(ended_at_unix, $now) - started_at_unix) AS duration_seconds, ended_at_unix IS NULL AS is_ongoing
FROM (
    SELECT kind, leg, NULL AS peer, start_height, end_height, peak_percent, started_at_unix, ended_at_unix FROM episodes
    UNION ALL
    SELECT 'peer_differs', NULL, peer, compared_height, if(ended_at_unix IS NULL, NULL, compared_height),
        difference_percent, since_unix, ended_at_unix
    FROM peers WHERE state = 'differs'
)
ORDER BY started_at_unix DESC, kind, peer

-- name: site_peers
SELECT * EXCLUDE (ended_at_unix) FROM peers WHERE ended_at_unix IS NULL ORDER BY peer

-- A run whose clock was ahead is newer than all others until its time has come: those of before now go first.
-- name: site_runs
SELECT started_at_unix, ended_at_unix, outcome, blocks_added, blocks_replaced, tip_height, source, error, sources,
    remarks
FROM runs ORDER BY started_at_unix <= $now DESC, started_at_unix DESC, ended_at_unix DESC, rowid DESC LIMIT 30

-- name: site_last_good_run
SELECT started_at_unix, ended_at_unix, outcome, blocks_added, blocks_replaced, tip_height, source, error, sources,
    remarks
FROM runs WHERE outcome <> 'failed' ORDER BY started_at_unix <= $now DESC, started_at_unix DESC, rowid DESC LIMIT 1

-- name: site_last_failed_run
SELECT started_at_unix, ended_at_unix, outcome, blocks_added, blocks_replaced, tip_height, source, error, sources,
    remarks
FROM runs WHERE outcome = 'failed' ORDER BY started_at_unix <= $now DESC, started_at_unix DESC, rowid DESC LIMIT 1

-- name: site_failing
SELECT min(started_at_unix) AS since_unix FROM runs
WHERE outcome = 'failed' AND rowid > coalesce((SELECT max(rowid) FROM runs WHERE outcome <> 'failed'), -1)

-- name: site_counts
SELECT count(*) AS blocks, min(height) AS first_height, max(height) AS last_height,
    (SELECT count(*) FROM now_prices) AS prices, (SELECT count(*) FROM now_days) AS days,
    (SELECT count(*) FROM exchange_samples) AS exchange_samples, (SELECT count(*) FROM episodes) AS episodes
FROM now_blocks

-- What the files of a young record show: of comparisons the first one of each block, of quotes those up to the first
-- comparison of the newest block, so that nothing changes before the next one.
-- name: site_first_comparisons
SELECT blocks, times_unix, quotes_end_unix, (
        SELECT count(*) FROM exchange_samples WHERE quotes_end_unix IS NULL OR sampled_at_unix < quotes_end_unix
    ) AS quotes
FROM (
    SELECT count(*) AS blocks, coalesce(sum(time_unix), 0)::BIGINT AS times_unix,
        arg_max(time_unix, height) + 1 AS quotes_end_unix
    FROM (SELECT height, min(time_unix) AS time_unix FROM now_divergences GROUP BY height)
)

-- name: site_gaps
SELECT previous + 1 AS first_height, height - 1 AS last_height
FROM (SELECT height, lag(height) OVER (ORDER BY height) AS previous FROM now_blocks)
WHERE height > previous + 1 ORDER BY height

-- name: site_left_out
SELECT rule, sum((left_out ->> rule)::BIGINT)::BIGINT AS transactions
FROM (SELECT left_out, unnest(json_keys(left_out)) AS rule FROM now_blocks WHERE height BETWEEN $first AND $last)
GROUP BY rule ORDER BY rule

-- What the valid spot prices of blocks did within each hour of a day.
-- name: site_hours_of_day
SELECT hour * 3600 AS time_unix, unnest(spot_candle(height, spot_usd, 1))
FROM (
    SELECT height, spot_usd, greatest($start, least($start + 86399, max(time_unix) OVER (ORDER BY height))) // 3600 AS hour
    FROM now_prices WHERE height BETWEEN $first AND $last AND spot_is_valid AND spot_usd IS NOT NULL
) GROUP BY hour ORDER BY hour

-- The quotes to count that were sampled within a day.
-- name: site_quotes_of_day
SELECT sampled_at_unix AS time_unix, round(price_usd, 2) AS price_usd FROM exchange_samples
WHERE sampled_at_unix BETWEEN $start AND $start + 86399 AND NOT is_stale AND suspicion IS NULL
ORDER BY exchange_samples.sampled_at_unix

-- name: site_spot_line
SELECT time_unix, height, round(spot_usd, 2) AS spot_usd, spot_is_valid AS is_valid
FROM now_prices WHERE height BETWEEN $first AND $last ORDER BY height

-- name: site_window_blocks
SELECT height, time_unix FROM now_blocks WHERE height BETWEEN $first AND $last ORDER BY height

-- name: site_window_outputs
SELECT height, value_sats, is_round FROM outputs
WHERE replaced_at_unix IS NULL AND height BETWEEN $first AND $last AND parent_height < $first
ORDER BY height, rowid

-- name: site_months
SELECT strftime(month, '%Y-%m') AS month, epoch(month)::BIGINT AS first,
    epoch(month + INTERVAL 1 MONTH)::BIGINT AS end, count(*) AS blocks, arg_max(hash, height) AS last_hash
FROM (SELECT *, date_trunc('month', make_timestamp(time_unix * 1000000)) AS month FROM now_blocks)
GROUP BY ALL ORDER BY month

-- The calendar months of the prices by their header times; `rows` of equal bytes have an equal fingerprint.
-- name: site_price_months
SELECT strftime(make_timestamp(time_unix * 1000000), '%Y-%m') AS month, count(*) AS rows, min(height) AS first_height,
    max(height) AS last_height, max(time_unix) AS last_unix, arg_max(algorithm_version, height) AS algorithm_version,
    bit_xor(hash(compared))::VARCHAR AS fingerprint
FROM compared WHERE $last IS NULL OR height <= $last GROUP BY month ORDER BY month

-- The tables that are published as Parquet and CSV: builder/api/types/columns.py has their columns; times in ms. A
-- limit that is null limits nothing.

-- name: site_table_of_prices
SELECT *, time_unix * 1000 AS time, compared_at_unix * 1000 AS compared_at FROM compared CROSS JOIN chain_kind
WHERE ($last IS NULL OR height <= $last)
    AND ($month IS NULL OR strftime(make_timestamp(time_unix * 1000000), '%Y-%m') = $month)
ORDER BY height

-- name: site_table_of_days
SELECT *, (price_usd / exchange_mean_usd - 1) * 100 AS divergence_percent FROM now_days LEFT JOIN day_candles(0, 2147483647) USING (date) CROSS JOIN chain_kind
ORDER BY date

-- name: site_table_of_hours
SELECT hour * 3600000 AS time, unnest(spot_candle(height, spot_usd, seconds)),
    any_value(network) AS network, any_value(is_simulated) AS is_simulated
FROM (
    SELECT *, least(lead(from_unix, 1, from_unix) OVER (ORDER BY height), (hour + 1) * 3600) - from_unix AS seconds
    FROM (
        SELECT height, spot_usd, max(time_unix) OVER (ORDER BY height) AS from_unix, from_unix // 3600 AS hour
        FROM now_prices WHERE spot_is_valid AND spot_usd IS NOT NULL AND ($last IS NULL OR height <= $last)
    )
) CROSS JOIN chain_kind GROUP BY hour ORDER BY hour

-- name: site_table_of_exchange
SELECT sampled_at_unix * 1000 AS sampled_at, quoted_at_unix * 1000 AS quoted_at, price_usd, is_stale,
    suspicion IS NOT NULL AS is_suspect, source, currencies::VARCHAR AS currencies, network, is_simulated
FROM exchange_samples CROSS JOIN chain_kind WHERE $end IS NULL OR sampled_at_unix < $end
ORDER BY sampled_at_unix, quoted_at_unix, source, price_usd

-- name: site_table_of_outputs
SELECT height, b.time_unix * 1000 AS time, value_sats, is_round, parent_height, network, is_simulated
FROM chain_kind CROSS JOIN (FROM outputs WHERE replaced_at_unix IS NULL) AS o
JOIN (FROM now_blocks WHERE time_unix >= $first AND time_unix < $end) AS b USING (height)
ORDER BY height, value_sats, parent_height

-- What `oracle verify` asks of the record by itself: each row is a place, what is there, and what should be.

-- name: check_doubled_blocks
SELECT 'block ' || height AS place, count(*) || ' rows' AS seen, '1 row' AS expected
FROM now_blocks GROUP BY height HAVING count(*) > 1 ORDER BY height

-- name: check_links
SELECT 'the block before ' || b.height AS place, b.prev_hash AS seen, a.hash AS expected
FROM now_blocks AS b JOIN now_blocks AS a ON a.height = b.height - 1 WHERE b.prev_hash <> a.hash ORDER BY b.height

-- name: check_output_counts
SELECT 'eligible_outputs of block ' || coalesce(b.height, o.height) AS place,
    coalesce(o.outputs, 0)::VARCHAR AS seen, coalesce(b.eligible_outputs, 0)::VARCHAR AS expected
FROM now_blocks AS b
FULL JOIN (SELECT height, count(*) AS outputs FROM now_outputs GROUP BY height) AS o ON o.height = b.height
WHERE coalesce(o.outputs, 0) <> coalesce(b.eligible_outputs, 0) ORDER BY coalesce(b.height, o.height)

-- name: check_doubled_prices
SELECT 'price of block ' || height AS place, count(*) || ' rows' AS seen, '1 row' AS expected
FROM now_prices GROUP BY height HAVING count(*) > 1 ORDER BY height

-- name: check_blocks_of_prices
SELECT 'block of the price of ' || p.height AS place, p.hash || ' at ' || p.time_unix AS seen,
    coalesce(b.hash || ' at ' || b.time_unix, 'absent') AS expected
FROM now_prices AS p LEFT JOIN now_blocks AS b USING (height)
WHERE b.hash IS NULL OR b.hash <> p.hash OR b.time_unix <> p.time_unix ORDER BY p.height

-- name: check_windows_of_prices
SELECT 'window of the price of ' || height AS place, window_first_height || ' to ' || window_last_height AS seen,
    (height - $window) || ' to ' || (height - 1) AS expected
FROM now_prices WHERE window_first_height <> height - $window OR window_last_height <> height - 1 ORDER BY height

-- A block with a window's blocks below it has a price, or a row that says why not.
-- name: check_missing_prices
SELECT 'price of block ' || height AS place, 'absent' AS seen, '1 row' AS expected
FROM (SELECT height, lag(height, $window) OVER (ORDER BY height) AS lowest FROM now_blocks) AS b
WHERE lowest = height - $window AND NOT EXISTS (FROM now_prices AS p WHERE p.height = b.height) ORDER BY height

-- name: check_doubled_days
SELECT 'day ' || date AS place, count(*) || ' rows' AS seen, '1 row' AS expected
FROM now_days GROUP BY date HAVING count(*) > 1 ORDER BY date

-- name: check_blocks_of_days
SELECT 'blocks of day ' || d.date AS place, d.blocks || ' from ' || d.first_hash || ' to ' || d.last_hash AS seen,
    (d.last_height - d.first_height + 1) || ' from ' || coalesce(f.hash, 'absent') || ' to ' ||
    coalesce(l.hash, 'absent') AS expected
FROM now_days AS d
LEFT JOIN now_blocks AS f ON f.height = d.first_height LEFT JOIN now_blocks AS l ON l.height = d.last_height
WHERE d.blocks <> d.last_height - d.first_height + 1 OR f.hash IS DISTINCT FROM d.first_hash
    OR l.hash IS DISTINCT FROM d.last_hash ORDER BY d.date

-- name: check_percents
SELECT 'difference at ' || time_unix AS place, spot_percent || ' and ' || coalesce(window_percent::VARCHAR, 'absent')
    AS seen, (100 * (spot_usd - exchange_usd) / exchange_usd) || ' and ' ||
    coalesce((100 * (window_usd - exchange_mean_usd) / exchange_mean_usd)::VARCHAR, 'absent') AS expected
FROM now_divergences
WHERE spot_percent IS DISTINCT FROM 100 * (spot_usd - exchange_usd) / exchange_usd
    OR window_percent IS DISTINCT FROM 100 * (window_usd - exchange_mean_usd) / exchange_mean_usd ORDER BY time_unix

-- name: all_headers
SELECT height, hash, time_unix, bits FROM now_blocks ORDER BY height

-- name: all_days
SELECT * EXCLUDE (replaced_at_unix) FROM now_days ORDER BY date

-- name: prices_between
SELECT * EXCLUDE (replaced_at_unix) FROM now_prices WHERE height BETWEEN $first AND $last ORDER BY height

-- name: blocks_between
SELECT * EXCLUDE (replaced_at_unix) FROM now_blocks WHERE height BETWEEN $first AND $last ORDER BY height

-- name: priced_heights
SELECT DISTINCT height FROM now_prices ORDER BY height

-- name: outputs_of_blocks
SELECT height, list(value_sats ORDER BY rowid) AS value_sats, list(is_round ORDER BY rowid) AS is_round
FROM outputs WHERE height BETWEEN $first AND $last AND replaced_at_unix IS NULL GROUP BY height ORDER BY height
