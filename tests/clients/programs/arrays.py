"""zarr and h5py through fsspec: many small files, some of them missing, and many small ranges of one file."""

import os

import fsspec
import h5py
import numpy
import zarr

env = os.environ
base = env["BASE"]
numbers = numpy.arange(200_000, dtype="int32").reshape(400, 500)
array = zarr.create_array("array", shape=numbers.shape, chunks=(100, 100), dtype="int32", fill_value=7)
array[:300] = numbers[:300]
with h5py.File("numbers.h5", "w") as target:
    target.create_dataset("numbers", data=numbers, chunks=(50, 50), compression="gzip")
files = fsspec.filesystem("http")
for folder, _, names in os.walk("."):
    for name in names:
        path = os.path.relpath(os.path.join(folder, name), ".")
        files.put_file(path, base + path, method="put")
read = zarr.open_array(base + "array", mode="r")[:]
assert (read[:300] == numbers[:300]).all() and (read[300:] == 7).all()
with fsspec.open(base + "numbers.h5", block_size=4096) as source, h5py.File(source) as opened:
    assert (opened["numbers"][::37] == numbers[::37]).all()
print("done")
