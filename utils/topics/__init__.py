"""What only a few lessons need."""
