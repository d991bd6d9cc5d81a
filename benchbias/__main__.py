"""`python -m benchbias`: the same as the command."""

from benchbias.cli import main

main()
