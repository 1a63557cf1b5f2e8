"""What operations cost: the statistics on samples that are made up, the rest by what can be counted."""
