"""What one or two lessons need: their data sets and measures. A topic imports no other topic."""
