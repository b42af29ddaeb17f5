"""Kills its process while it is loaded, as often as the file that MORTAL names has letters: each kill takes one away."""

import os
import signal

from basic import simple

path = os.environ["MORTAL"]
with open(path) as file:
    left = file.read()
if left:
    with open(path, "w") as file:
        file.write(left[1:])
    os.kill(os.getpid(), signal.SIGKILL)

graph = simple
