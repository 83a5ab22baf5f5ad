"""The exchange side: quotes, the comparison with the on-chain prices, and its episodes."""
