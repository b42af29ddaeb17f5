"""Entry: ``python -m agent_server_worker SOCKET``."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0])

from agent_server_worker.main import main

if __name__ == "__main__":
    main()
