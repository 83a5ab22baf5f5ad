-- What other publishers say of the same blocks: one row a peer and a state, kept up to date while it lasts.
CREATE TABLE peers (
    peer VARCHAR NOT NULL,            -- the address of its site
    state VARCHAR,                    -- agrees, differs, other_method, other_branch, other_network; NULL: never compared
    since_unix BIGINT NOT NULL,
    ended_at_unix BIGINT,             -- NULL: the newest state of a peer that is still asked
    asked_at_unix BIGINT NOT NULL,
    problem VARCHAR,                  -- why the last answer could not be compared; NULL when it was
    problem_since_unix BIGINT,
    height INTEGER,                   -- its newest block, and what it says of it
    hash VARCHAR,
    spot_usd DOUBLE,
    window_usd DOUBLE,
    algorithm_version VARCHAR,
    compared_height INTEGER,          -- the newest block of both, and what was said of it here and there
    our_usd DOUBLE,
    peer_usd DOUBLE,
    difference_percent DOUBLE
);
