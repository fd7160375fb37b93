"""``python -m jaxrnn`` is the command line."""

from jaxrnn.cli import main

if __name__ == "__main__":
    main()
