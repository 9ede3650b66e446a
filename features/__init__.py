"""Unified profiles to point-in-time features."""
