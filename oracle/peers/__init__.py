"""Other publishers: what they say of the same blocks, and whether it is what we say.

Two who read the same blocks by the same method get the same doubles. So a peer that says something
else of a block that both know is wrong, or we are.
"""
