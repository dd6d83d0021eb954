"""The compiled aggregate engine: one file per idea of the world's equations, and the batched core
over them.
"""
