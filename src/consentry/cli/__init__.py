"""The command `consentry`: one file per command group, wired in `root.py`.

Exit codes: 0 done, 1 found wanting, 2 wrong usage, 3 the environment lacks something.
"""
