"""`python -m recroute`: the command line."""

from recroute.cli import main

main()
