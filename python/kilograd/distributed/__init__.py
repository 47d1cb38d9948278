"""The same programs over data that lie on many machines, or do not fit into memory: Dask, Ray, Spark, MPI, blocks.

Data are rows in *parts*: the chunks of a Dask array, the partitions of a Dask or Spark data frame, the blocks of a Ray
data set, what each rank of MPI has (`Ranks`), or any iterable of arrays and tables in this process. The parameters go
to the parts, and from each part come a value and a gradient; rows stay where they are. What comes is added up in the
order of the parts, so that results are the same to the last bit on any number of workers of one instruction set.
Scheduling, retries and the view of what goes on are the engine's own.

In the order of reading: `parts`, what an engine has to do; `tasks`, what is done at a part; `rows`, `fitting`,
`groups`, the public functions; `sources`, blocks of files; one module ``on_...`` for each engine.
"""

from __future__ import annotations

from kilograd.distributed.fitting import fit
from kilograd.distributed.groups import GroupError, map_fits
from kilograd.distributed.on_ranks import Ranks
from kilograd.distributed.rows import map_rows, minimize, value_and_grad
from kilograd.distributed.sources import blocks

__all__ = ["GroupError", "Ranks", "blocks", "fit", "map_fits", "map_rows", "minimize", "value_and_grad"]
