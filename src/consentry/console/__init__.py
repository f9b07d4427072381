"""The web pages, on the same services as the API."""
