"""Benchmarks: workloads, the engines that run them, and the harness that times the pairs. See README.md."""
