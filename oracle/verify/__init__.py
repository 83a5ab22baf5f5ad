"""Whether what was published is so: recomputed from blocks, compared to the last digit.

`record` looks at the database by itself, `recompute` works prices out again from a source of
blocks, `elsewhere` reads somebody else's site without trusting it. What a release of ours must hold
is known to `builder/verify.py`. All of them hand over findings; nothing here changes anything.
"""
