"""Telling other systems what was seen."""
