"""`python -m chengfang` is the command line."""

from .experiments.cli import main

main()
