import sys

from kilograd.cli import main

sys.exit(main())
