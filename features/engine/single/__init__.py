"""The same feature definitions for one customer, in NumPy: planning a statement takes DuckDB longer than a request may."""
