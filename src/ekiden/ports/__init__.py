"""What the rooms ask of the world outside: small Protocol classes, one a file, with the contract in prose. Grade A."""
