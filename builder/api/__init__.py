"""What `/api/` serves."""
