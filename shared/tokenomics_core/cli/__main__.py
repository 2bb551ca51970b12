"""Run the command with `python -m tokenomics_core.cli`."""

import sys

from tokenomics_core.cli._main import main

sys.exit(main())
