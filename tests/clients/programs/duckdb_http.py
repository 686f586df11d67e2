"""DuckDB over plain HTTP: it requests the size of a file first, then ranges of it."""

import glob
import os

import duckdb
import duckdb_ext
import pyarrow
import pyarrow.parquet

env = os.environ
[extension] = glob.glob(os.path.join(list(duckdb_ext.__path__)[0], "extensions/*/*/httpfs.duckdb_extension"))
numbers = pyarrow.table({"number": range(200_000), "text": [str(number) * 3 for number in range(200_000)]})
pyarrow.parquet.write_table(numbers, "numbers.parquet", row_group_size=20_000)
os.system(f"curl -sSf -T numbers.parquet {env['BASE']}numbers.parquet")
client = duckdb.connect()
client.execute(f"LOAD '{extension}'")
query = f"SELECT count(*), sum(number) FROM '{env['BASE']}numbers.parquet' WHERE number >= 190000"
assert client.execute(query).fetchall() == [(10_000, sum(range(190_000, 200_000)))]
print("done")
