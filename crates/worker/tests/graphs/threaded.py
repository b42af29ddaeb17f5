"""A graph for the worker's tests: its module starts a thread."""

import threading

from rough import whoami

threading.Thread(target=threading.Event().wait, daemon=True).start()

graph = whoami
