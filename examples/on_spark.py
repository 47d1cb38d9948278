"""Fit a line on Spark: python examples/on_spark.py."""

from pyspark.sql import SparkSession
from pyspark.sql.functions import randn

from kilograd import Program, Value, optim
from kilograd.distributed import minimize

x, y, slope, offset = [Value(0.0) for _ in range(4)]
loss = Program((slope * x + offset - y) ** 2, inputs=[x, y], parameters=[slope, offset])

spark = SparkSession.builder.master("local[2]").getOrCreate()
rows = spark.range(0, 200_000, numPartitions=2).select(randn(0).alias("x"))
rows = rows.withColumn("y", 3 * rows.x + 1).cache()  # computed once, and kept where it is
minimize(loss, rows, optim.SGD([slope, offset], lr=0.25), steps=20, columns=["x", "y"])

print(f"y = {slope.data:.3f} x + {offset.data:.3f}")
spark.stop()
