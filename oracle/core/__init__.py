"""The on-chain price as pure functions: bytes and values in, values out.

`block bytes -> block -> eligible outputs -> window -> histogram -> stencil -> price points ->
price`

Nothing here opens a file or a socket, reads a clock or an environment, logs or prints.
"""
