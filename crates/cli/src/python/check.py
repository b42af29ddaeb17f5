"""Says what a project lacks in this interpreter.

Reads from stdin {"requirements": [...], "files": [...], "packages": [...]}: requirements as pip understands them, paths of
requirement files, and directories that must be installed in place. Writes to stdout {"version", "executable", "langgraph", "missing"}.
Needs nothing but the standard library; `packaging`, where there is one, makes it exact about versions and markers.
"""

import json
import os
import re
import sys
import urllib.parse

if sys.version_info < (3, 10):
    # Too old to be used, maybe too old for what follows.
    report = {"version": sys.version_info[:3], "executable": sys.executable, "langgraph": None, "missing": []}
    json.dump(report, sys.stdout)
    sys.exit()

import importlib.metadata as metadata

# A script given with -c finds modules in the current directory, where a project may have files of any name.
sys.path[:] = [path for path in sys.path if path]

try:
    from packaging.requirements import Requirement
except ImportError:
    try:
        from pip._vendor.packaging.requirements import Requirement
    except ImportError:
        Requirement = None


def lacks(text, extras=("",), seen=None):
    """Returns whether a requirement, or one of the extras it names, is not met."""
    seen = set() if seen is None else seen
    if text in seen:
        return False
    seen.add(text)
    if Requirement is None:
        name = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", text)
        try:
            return name is None or metadata.distribution(name.group(1)) is None
        except metadata.PackageNotFoundError:
            return True
    try:
        requirement = Requirement(text)
    except ValueError:
        return True
    marker = requirement.marker
    if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in extras):
        return False
    try:
        found = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        return True
    if not requirement.specifier.contains(found.version, prereleases=True):
        return True
    if not requirement.extras:
        return False
    # Only what the extras add is looked at: the rest came with the package.
    added = [line for line in found.requires or () if "extra" in line]
    return any(lacks(line, requirement.extras, seen) for line in added)


def read(path):
    """Yields the requirements of a requirements file, of files that it includes too."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"\\\r?\n", " ", file.read())
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        include = re.match(r"(?:-r|--requirement)[\s=]*(\S+)", line)
        if include:
            yield from read(os.path.join(os.path.dirname(path), include.group(1)))
        elif line and not line.startswith("-"):
            yield re.sub(r"\s+--(?:hash|config-settings|global-option)\b.*$", "", line)
        elif re.match(r"(?:-e|--editable)\b", line):
            yield line


def installed_places():
    """Returns the directories that are installed in place."""
    places = set()
    for found in metadata.distributions():
        origin = found.read_text("direct_url.json")
        if origin:
            url = urllib.parse.urlparse(json.loads(origin).get("url", ""))
            if url.scheme == "file":
                places.add(os.path.realpath(urllib.parse.unquote(url.path)))
    return places


def main():
    needs = json.load(sys.stdin)
    wanted = list(needs["requirements"])
    missing = []
    for path in needs["files"]:
        try:
            wanted += read(path)
        except OSError:
            missing.append(path)
    missing += [text for text in wanted if lacks(text)]
    if needs["packages"]:
        places = installed_places()
        missing += [path for path in needs["packages"] if os.path.realpath(path) not in places]
    report = {
        "version": list(sys.version_info[:3]),
        "executable": sys.executable,
        "langgraph": None if lacks("langgraph") else metadata.version("langgraph"),
        "missing": missing,
    }
    json.dump(report, sys.stdout)


main()
