"""One view a page: a typed function works out all that the page says from the published JSON."""
