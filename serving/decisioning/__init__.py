"""Catalogue, rules, value, policy: from scores to a decision."""
