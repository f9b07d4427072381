"""Measuring Consentry against its peers and its own limits; never imported by the product."""
