"""The usability report before training: is there enough data, and is it what it looks like. One file per question."""
