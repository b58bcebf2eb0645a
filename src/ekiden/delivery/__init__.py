"""How letters leave: schedule, routing, sites, attempts, local mailboxes, reports. Grade B: awaits ports only."""
