"""Zero edits: a program that has its own ``Value`` class runs on the engine as it stands.

`source` marks the classes that may be autograd classes; `importer` does so for the modules that the program imports
wherever they lie; `judge` tries each class on `probes` and decides what the engine serves; `served` dresses the
engine's type with the author's methods; `program` runs the whole as if it had been run directly. `bases` reads what a
class inherits. `notebook`, `testing` (the plugin of pytest), `report` and `compare` are what their names say.

A short program pays for what is imported here: neither `typing` nor NumPy is.
"""
