"""fsspec over plain HTTP, which pandas, dask and xarray use: whole files, ranges, folders."""

import os

import fsspec

env = os.environ
base = env["BASE"]
small, medium = (open(env[name], "rb").read() for name in ["SMALL", "MEDIUM"])
files = fsspec.filesystem("http")
files.put_file(env["SMALL"], base + "tree/deep/small", method="put")
files.put_file(env["SMALL"], base + "tree/a b+c%25d.txt", method="put")
files.put_file(env["MEDIUM"], base + "tree/medium", method="put")
assert files.info(base + "tree/medium")["size"] == len(medium)
assert files.cat_file(base + "tree/medium", start=7, end=4711) == medium[7:4711]
with files.open(base + "tree/medium", block_size=1 << 16) as opened:
    opened.seek(9_000_000)
    assert opened.read(1000) == medium[9_000_000:9_001_000]
assert files.exists(base + "tree/medium") and not files.exists(base + "tree/none")


def names(paths):
    return sorted(path.removeprefix(base + "tree").strip("/") for path in paths)


for folder in [base + "tree/", base + "tree"]:
    assert names(files.ls(folder, detail=False)) == ["a%20b%2Bc%25d.txt", "deep", "medium"], files.ls(folder, detail=False)
    assert names(files.find(folder)) == ["a%20b%2Bc%25d.txt", "deep/small", "medium"], files.find(folder)
assert names(files.glob(base + "tree/*/small")) == ["deep/small"], files.glob(base + "tree/*/small")
assert files.isdir(base + "tree/deep")
assert files.cat(base + "tree/deep/small") == small
files.get_file(base + "tree/medium", env["GOT"] + "/medium")
print("done")
