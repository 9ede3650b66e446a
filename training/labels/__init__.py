"""One file per outcome."""
