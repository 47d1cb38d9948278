"""``python -m kilograd``."""

import sys

from kilograd.cli import main

if __name__ == "__main__":
    sys.exit(main())
