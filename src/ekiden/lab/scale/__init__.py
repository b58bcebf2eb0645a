"""`ekiden bench --scale`: what many letters, many sites, many sessions and large letters cost, each beside its target.

`resting`: memory at rest, of idle sessions, of a large letter. `backlog`: a million letters. `silent`: ten thousand
domains, of which a fifth never answers. `growth`: tables of how cost grows. `findings`: the tables themselves, pure.
"""
