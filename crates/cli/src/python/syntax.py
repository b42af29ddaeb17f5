"""Looks files over without running them: prints the first error of syntax."""

import sys

for path in sys.stdin.read().split("\0"):
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError:
        # Gone since, or a directory.
        continue
    try:
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        sys.exit(print(f"{path}, line {error.lineno}: {error.msg}"))
    except ValueError as error:
        sys.exit(print(f"{path}: {error}"))
