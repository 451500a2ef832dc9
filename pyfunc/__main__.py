"""``python -m pyfunc``: the command ``pyfunc``."""

from pyfunc.cli import main

if __name__ == "__main__":
    main()
