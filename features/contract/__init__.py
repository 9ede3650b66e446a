"""Semantic tables of unified profiles, and how a user's own tables map to them."""
