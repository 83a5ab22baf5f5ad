"""The exchange side of a tick: samples, means, what is too old, and what asking for a quote
costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.chain import utc_date
from oracle.errors import SourceUnavailableError
from oracle.estimate.limits import Limits
from oracle.exchange.market import Market
from oracle.record.batch import Batch
from oracle.record.store import Store
from oracle.sources import Quote

NOW = 1_760_500_000
HOUR, DAY = 3600, 86_400
MIDNIGHT = NOW // DAY * DAY


class Quotes:
    """Quotes by the time they stand for; `asked` counts."""

    name = "held"

    def __init__(self, prices_usd: dict[int, float] | None = None, age_seconds: int = 60) -> None:
        self.prices_usd, self.age_seconds, self.asked = prices_usd or {}, age_seconds, 0

    def latest(self) -> Quote | None:
        return self.at(max(self.prices_usd, default=0))

    def at(self, time_unix: int) -> Quote | None:
        self.asked += 1
        price_usd = self.prices_usd.get(time_unix)
        return Quote(price_usd, time_unix - self.age_seconds, self.name) if price_usd else None


class NoQuotes(Quotes):
    def at(self, time_unix: int) -> Quote | None:
        self.asked += 1
        raise SourceUnavailableError("down", source="mempool")


def price_row(height: int = 100, time_unix: int = NOW - 600, **changes: object) -> dict:
    row = {"height": height, "time_unix": time_unix, "spot_usd": 101_000.0, "window_usd": 100_000.0}
    return (
        row | {"spot_is_valid": True, "window_is_valid": True, "window_confidence": 0.9} | changes
    )


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "a.duckdb") as made:
        yield made


def market(store: Store, quotes: object = None, **rules: float) -> Market:
    return Market(store, Batch(NOW), quotes, Limits(**rules), NOW - 3 * DAY)


def sampled(
    store: Store, times: range, price_usd: float = 100_000.0, age_seconds: int = 60
) -> Market:
    """A market that has been asked at each of these times."""
    made = market(store, Quotes(dict.fromkeys(times, price_usd), age_seconds))
    for time_unix in times:
        made.compare(time_unix, None, (0, 0), is_now=False)
    return made


def test_the_spot_leg_is_the_headline(store):
    made = market(store, Quotes({NOW: 100_000.0}))
    made.compare(NOW, price_row(), (0, 0), is_now=True)
    assert (made.comparison.leg, made.comparison.headline_percent) == ("spot", pytest.approx(1.0))


@pytest.mark.parametrize(
    "row",
    [price_row(spot_is_valid=False), price_row(time_unix=NOW - 7200)],
    ids=["not valid", "of an old block"],
)
def test_the_window_leg_is_the_headline_where_the_spot_price_does_not_count(store, row):
    made = sampled(store, range(NOW - DAY, NOW, 600), 98_000.0)
    made.compare(NOW, row, (NOW - DAY, NOW - 1), is_now=True)
    assert (made.comparison.leg, made.comparison.spot_percent) == ("window", None)
    assert made.comparison.headline_percent == pytest.approx(100 * (100_000 / 98_000 - 1))


def test_a_window_price_that_is_not_valid_has_no_leg(store):
    made = sampled(store, range(NOW - DAY, NOW, 600))
    made.compare(
        NOW,
        price_row(window_is_valid=False, spot_is_valid=False),
        (NOW - DAY, NOW - 1),
        is_now=True,
    )
    assert (made.comparison.leg, made.comparison.headline_percent) == (None, None)


def test_a_quote_at_the_age_limit_is_fresh_and_a_second_older_is_not(store):
    fresh, stale = (market(store, Quotes({NOW: 90_000.0}, age)) for age in (7200, 7201))
    fresh.compare(NOW, price_row(), (0, 0), is_now=True)
    stale.compare(NOW, price_row(), (0, 0), is_now=True)
    assert (fresh.comparison.is_large, fresh.quote_is_stale) == (True, False)
    assert (stale.comparison.is_large, stale.quote_is_stale) == (False, True)


def test_stale_quotes_are_in_no_mean(store):
    made = sampled(store, range(NOW - DAY, NOW, 600), age_seconds=8000)
    assert made.mean(NOW - DAY, NOW - 1) is None


@pytest.mark.parametrize("quoted_usd", [1.0, 40_000.0, 250_000.0, 1e12])
def test_a_quote_far_from_all_that_is_known_is_kept_and_counts_nowhere(store, quoted_usd):
    times = range(NOW - DAY, NOW, 600)
    made = sampled(store, times)
    made._quotes = Quotes({NOW: quoted_usd})
    made.compare(NOW, price_row(), (NOW - DAY, NOW), is_now=True)
    assert made.quote_suspicion
    assert (made.comparison.exchange_usd, made.comparison.spot_percent) == (None, None)
    assert (made.comparison.leg, made.comparison.is_large) == ("window", False)
    assert made.mean(NOW - DAY, NOW) == pytest.approx(100_000.0)
    assert made.changed == []
    store.write(made._batch)
    kept = store.samples(NOW)[-1]
    assert (kept["price_usd"], kept["suspicion"]) == (quoted_usd, made.quote_suspicion)
    again = market(store, Quotes({NOW + 600: quoted_usd}))
    again.compare(NOW + 600, None, (0, 0), is_now=True)
    assert again.quote_suspicion, "a quote that is not believed vouches for no other"


def test_the_on_chain_price_alone_vouches_for_a_quote_or_against_it(store):
    for quoted_usd, is_suspect in ((60_000.0, False), (201_000.1 * 1.01, True)):
        made = market(store, Quotes({NOW: quoted_usd}))
        made.compare(NOW, price_row(), (0, 0), is_now=True)
        assert bool(made.quote_suspicion) is is_suspect


def test_a_crash_that_the_chain_shows_too_is_believed(store):
    made = sampled(store, range(NOW - DAY, NOW, 600))
    made._quotes = Quotes({NOW: 40_000.0})
    crashed = price_row(spot_usd=41_000.0, window_usd=95_000.0)
    made.compare(NOW, crashed, (NOW - DAY, NOW), is_now=True)
    assert made.quote_suspicion is None
    assert made.comparison.spot_percent == pytest.approx(2.5)


def test_what_was_quoted_long_ago_says_nothing_of_now(store):
    made = sampled(store, range(NOW - 10 * DAY, NOW - 9 * DAY, 600))
    made._quotes = Quotes({NOW: 40_000.0})
    made.compare(NOW, None, (0, 0), is_now=True)
    assert made.quote_suspicion is None


def test_a_quote_server_that_fails_is_asked_once_a_run(store):
    quotes = NoQuotes()
    made = market(store, quotes)
    for height, time_unix in enumerate(range(NOW - 6000, NOW, 600)):
        made.compare(time_unix, price_row(height, time_unix), (0, 0), is_now=False)
    assert quotes.asked == 1
    assert str(made.history_problem) == "down"


def test_a_history_that_fails_does_not_cost_the_quote_of_now(store):
    class NoHistory(NoQuotes):
        def latest(self) -> Quote | None:
            return Quote(100_000.0, NOW, self.name)

    made = market(store, NoHistory())
    made.compare(NOW - 600, price_row(1, NOW - 600), (0, 0), is_now=False)
    made.compare(NOW, price_row(), (0, 0), is_now=True)
    assert made.comparison.exchange_usd == 100_000.0
    assert made.quote_problem is None


def test_a_moment_is_recorded_once(store):
    made = market(store, Quotes({NOW: 100_000.0}))
    made.compare(NOW, price_row(), (0, 0), is_now=True)
    made.compare(NOW, price_row(), (0, 0), is_now=True)
    assert (
        len(made._batch.tables["divergences"]) == len(made._batch.tables["exchange_samples"]) == 1
    )


def test_a_day_has_the_mean_and_the_last_quote_of_its_last_hour(store):
    made = sampled(store, range(MIDNIGHT, MIDNIGHT + DAY, 600))
    day = made.of_day(utc_date(MIDNIGHT))
    assert day == {"exchange_mean_usd": 100_000.0, "exchange_close_usd": 100_000.0}


def test_a_day_whose_last_hour_has_no_quote_has_no_close(store):
    made = sampled(store, range(MIDNIGHT, MIDNIGHT + 23 * HOUR, 600))
    day = made.of_day(utc_date(MIDNIGHT))
    assert day["exchange_close_usd"] is None
    assert day["exchange_mean_usd"] == 100_000.0


def test_samples_of_earlier_runs_are_in_the_mean(store):
    first = sampled(store, range(NOW - DAY, NOW, 600))
    store.write(first._batch)
    assert market(store).mean(NOW - DAY, NOW - 1) == 100_000.0


def test_an_episode_of_an_earlier_run_goes_on_and_ends(store):
    first = market(store, Quotes({NOW: 90_000.0}))
    first.compare(NOW, price_row(), (0, 0), is_now=True)
    first.close_books()
    store.write(first._batch)
    assert [episode.ended_at_unix for episode in first.changed] == [None]
    later = market(store, Quotes(dict.fromkeys(range(NOW, NOW + 4000, 600), 101_000.0)))
    for time_unix in range(NOW + 600, NOW + 2400, 600):
        later.compare(time_unix, price_row(), (0, 0), is_now=False)
    later.close_books()
    store.write(later._batch)
    assert [episode.ended_at_unix for episode in later.changed] == [NOW + 600]
    assert store.open_episodes() == []
