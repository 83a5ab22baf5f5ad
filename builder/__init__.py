"""From the database to a finished site."""
