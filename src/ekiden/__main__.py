"""`python -m ekiden`."""

from ekiden.cli.main import main

if __name__ == "__main__":
    main()
