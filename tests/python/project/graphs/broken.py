"""Cannot be imported: the module that it needs is not there."""

import a_module_that_nobody_installed

graph = a_module_that_nobody_installed.graph
