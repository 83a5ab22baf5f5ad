-- Every table that follows the chain is keyed by block; `replaced_at_unix` is NULL for a row of the current
-- chain and the time of the reorg for a row that was replaced. Replaced rows are kept and never shown as current.

CREATE TABLE facts_of_database (
    name VARCHAR NOT NULL,            -- network, is_demo, created_at_unix, ...
    value VARCHAR NOT NULL
);

CREATE TABLE blocks (
    height INTEGER NOT NULL,
    hash VARCHAR NOT NULL,            -- display order
    prev_hash VARCHAR NOT NULL,
    time_unix BIGINT NOT NULL,        -- header time; not monotonic
    mediantime_unix BIGINT NOT NULL,  -- median of this and up to ten earlier header times known here
    size_bytes INTEGER NOT NULL,
    transactions INTEGER NOT NULL,
    outputs INTEGER NOT NULL,
    eligible_outputs INTEGER NOT NULL,
    left_out JSON NOT NULL,           -- transactions left out, a count per rule
    source VARCHAR NOT NULL,          -- which source served it
    replaced_at_unix BIGINT
);

-- The txids of the newest blocks only: what the same-window rule needs to know a new block's parents.
CREATE TABLE recent_txids (
    height INTEGER NOT NULL,
    txids BLOB NOT NULL               -- 32 bytes each, internal order, chain order
);

CREATE TABLE outputs (
    height INTEGER NOT NULL,
    value_sats BIGINT NOT NULL,
    is_round BOOLEAN NOT NULL,        -- a round BTC amount (step 6)
    parent_height INTEGER NOT NULL,   -- newest block that made an input of the transaction; -1 unknown
    replaced_at_unix BIGINT
);

-- At most one current row a block: the prices as of that tip.
CREATE TABLE prices (
    height INTEGER NOT NULL,
    hash VARCHAR NOT NULL,
    time_unix BIGINT NOT NULL,
    algorithm_version VARCHAR NOT NULL,
    window_usd DOUBLE,                -- NULL: no price, window_reason says why
    window_low_usd DOUBLE,
    window_high_usd DOUBLE,
    window_rough_usd INTEGER,
    window_confidence DOUBLE NOT NULL,
    window_is_valid BOOLEAN NOT NULL,
    window_reason VARCHAR,
    window_first_height INTEGER NOT NULL,
    window_last_height INTEGER NOT NULL,
    window_outputs INTEGER NOT NULL,
    window_points INTEGER NOT NULL,
    spot_usd DOUBLE,
    spot_low_usd DOUBLE,
    spot_high_usd DOUBLE,
    spot_confidence DOUBLE NOT NULL,
    spot_is_valid BOOLEAN NOT NULL,
    spot_reason VARCHAR,
    spot_first_height INTEGER,
    spot_last_height INTEGER,
    spot_points INTEGER NOT NULL,
    replaced_at_unix BIGINT
);

CREATE TABLE days (
    date DATE NOT NULL,               -- UTC
    algorithm_version VARCHAR NOT NULL,
    price_usd DOUBLE,
    low_usd DOUBLE,
    high_usd DOUBLE,
    rough_usd INTEGER,
    confidence DOUBLE NOT NULL,
    is_valid BOOLEAN NOT NULL,
    reason VARCHAR,
    first_height INTEGER NOT NULL,
    last_height INTEGER NOT NULL,
    first_hash VARCHAR NOT NULL,
    last_hash VARCHAR NOT NULL,
    blocks INTEGER NOT NULL,
    outputs INTEGER NOT NULL,
    points INTEGER NOT NULL,
    exchange_mean_usd DOUBLE,         -- mean of the quotes sampled during the day; NULL with too few
    exchange_close_usd DOUBLE,        -- last quote of the day, when it is close enough to midnight
    replaced_at_unix BIGINT
);

-- One row a tick that got a quote, and one a caught-up block whose time has a historical quote.
CREATE TABLE exchange_samples (
    sampled_at_unix BIGINT NOT NULL,  -- the moment this quote stands for (tick time, or block time when caught up)
    quoted_at_unix BIGINT NOT NULL,   -- the time the exchange side gave
    price_usd DOUBLE NOT NULL,        -- always positive
    is_stale BOOLEAN NOT NULL,        -- older than the setting allowed
    source VARCHAR NOT NULL,
    currencies JSON NOT NULL
);

-- One row a tick (a caught-up block counts as one): the two comparisons at that moment.
CREATE TABLE divergences (
    time_unix BIGINT NOT NULL,
    height INTEGER NOT NULL,
    spot_usd DOUBLE,
    exchange_usd DOUBLE,
    spot_percent DOUBLE,              -- (spot - exchange now) / exchange
    window_usd DOUBLE,
    exchange_mean_usd DOUBLE,         -- mean of the samples during the window's blocks
    window_percent DOUBLE,
    headline_percent DOUBLE,
    leg VARCHAR,                      -- spot or window: the one in the headline
    is_large BOOLEAN NOT NULL,
    replaced_at_unix BIGINT
);

CREATE TABLE episodes (
    kind VARCHAR NOT NULL,            -- divergence or low_confidence
    leg VARCHAR,
    started_at_unix BIGINT NOT NULL,
    ended_at_unix BIGINT,             -- NULL while it goes on
    start_height INTEGER NOT NULL,
    end_height INTEGER,
    peak_percent DOUBLE               -- signed, the farthest from zero
);

CREATE TABLE runs (
    started_at_unix BIGINT NOT NULL,
    ended_at_unix BIGINT NOT NULL,
    outcome VARCHAR NOT NULL,         -- ok, no_new_block, failed
    blocks_added INTEGER NOT NULL,
    blocks_replaced INTEGER NOT NULL,
    tip_height INTEGER,
    source VARCHAR,
    error JSON,                       -- the documented error object
    sources JSON NOT NULL             -- what each source's probe said
);

-- What is current: everything that reads goes through these.
CREATE VIEW now_blocks AS FROM blocks WHERE replaced_at_unix IS NULL;
CREATE VIEW now_outputs AS FROM outputs WHERE replaced_at_unix IS NULL;
CREATE VIEW now_prices AS FROM prices WHERE replaced_at_unix IS NULL;
CREATE VIEW now_days AS FROM days WHERE replaced_at_unix IS NULL;
CREATE VIEW now_divergences AS FROM divergences WHERE replaced_at_unix IS NULL;
