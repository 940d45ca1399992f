"""`python -m wdattn`."""

import sys

from wdattn.cli import main

sys.exit(main())
