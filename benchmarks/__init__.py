"""Speed, each figure beside a baseline that ran in the same process on the same data: ``python -m benchmarks``."""
