"""How sure the numbers are: spot price, 95% intervals, confidence. Ours, pure, and tuned on data.

`oracle.core` is fixed by its vectors; this changes when the data teach better. docs/algorithm.md
has the formulas, docs/accuracy.md what was measured.
"""
