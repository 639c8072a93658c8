"""What the tasks that learn from pairs of pictures share."""
