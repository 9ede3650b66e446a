"""The same definitions for one customer, in NumPy: DuckDB plans a statement for longer than a request may take."""
