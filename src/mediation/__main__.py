"""`python -m mediation` is the command `mediation`."""

from mediation.cli import main

main()
