"""A chain and a market that are made up, for a first look without a node; everything that shows
their numbers says so."""
