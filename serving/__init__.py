"""Models to scores to the next best action."""
