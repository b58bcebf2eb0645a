"""`ekiden bench --scale`: what many letters, many sites, many sessions and large letters cost, each beside its
target."""
