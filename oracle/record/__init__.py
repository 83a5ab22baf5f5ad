"""The record: all that knows DuckDB and SQL."""
