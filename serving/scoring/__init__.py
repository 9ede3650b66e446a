"""Load champions; score one customer or a million."""
