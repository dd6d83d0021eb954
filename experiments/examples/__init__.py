"""Scripts to copy and change: each stands alone, imports only the public face and runs in a minute
with `--quick`.
"""
