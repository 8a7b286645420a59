"""What only one or two lessons need."""
