"""Use cases behind every face: accounts, queue. Awaits ports only. Grade B."""
