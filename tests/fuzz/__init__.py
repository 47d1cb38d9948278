"""Fuzzers: programs made from a seed, each checked against an oracle of its own.

A fuzzer is a module of this folder with two functions:

``run(seed)``
    Makes one program from the seed and checks it; an exception is a finding. The same seed is the same program, in
    every process.
``corpus()``
    Yields ``(name, check)`` for everything that was once found, by this fuzzer or by anybody: ``check()`` raises where
    the fault is back.

``python -m tests.fuzz NAME`` runs the corpus and then seeds, in a process of their own, so that a crash or a hang is a
finding too and names its seed. ``tests/test_fuzz.py`` runs every corpus and the first seeds.
"""
