"""The JSON Schemas of the published files, one a file, as package data."""
