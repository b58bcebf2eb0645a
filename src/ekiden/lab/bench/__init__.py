"""`ekiden bench`: Ekiden and others carry the same letters in the same run, in turn, on the same file system.

`scenarios`: what is carried. `peers`, `rivals`: who carries it. `measure`: one run. `syncs`: what each run syncs.
`figures`: medians and tables, pure. `run`: the whole, with its progress bar. Only ratios of the same run mean
something: machines differ, and so do their neighbours.
"""
