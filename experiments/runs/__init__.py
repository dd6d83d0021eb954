"""A run: what it is, what decides its figures, how and where it is executed, and what it leaves on
disk.
"""
