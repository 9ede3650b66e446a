"""Words and ports that features, training and serving share."""
