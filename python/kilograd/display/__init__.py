"""Pictures and tables of values, networks, programs: what notebooks show, and what draws it."""
