"""What is run: comparisons, training, evaluation, calibration, and the command line. Imports agents
and environments.
"""
