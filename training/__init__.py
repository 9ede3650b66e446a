"""Features and labels to evaluated, registered models."""
