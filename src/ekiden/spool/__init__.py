"""The queue as the rooms see it: the window of what is in memory for delivery. Grade B: awaits ports only."""
