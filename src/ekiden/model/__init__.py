"""The nouns of mail and their grammar. Grade A: pure; imports nothing of ekiden."""
