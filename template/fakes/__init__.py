"""Fake services to develop and test against; no part of production."""
