"""The on-chain oracle."""
