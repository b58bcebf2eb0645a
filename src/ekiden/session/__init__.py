"""What a connected client goes through: relay (25), submission (587, 465), POP3. Grade B: awaits ports only."""
