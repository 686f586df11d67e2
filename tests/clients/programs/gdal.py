"""GDAL through rasterio: writes a raster, and reads windows of it over HTTP and over S3."""

import os

env = os.environ
base = env["BASE"]
env.update(AWS_S3_ENDPOINT=env["ENDPOINT"].split("://")[1], AWS_HTTPS="NO", AWS_VIRTUAL_HOSTING="FALSE")
env.update(AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any", CPL_VSIL_USE_TEMP_FILE_FOR_RANDOM_WRITE="YES")

import numpy
import rasterio
from rasterio.transform import from_origin

key = env["PREFIX"] + "raster/numbers.tif"
numbers = numpy.random.default_rng(1).integers(0, 255, (1, 2000, 2000), "uint8")
profile = {"driver": "GTiff", "width": 2000, "height": 2000, "count": 1, "dtype": "uint8", "tiled": True, "crs": "EPSG:4326"}
profile["transform"] = from_origin(0, 10, 0.01, 0.01)


def read(place):
    with rasterio.open(place) as source:
        # GDAL lists the folder to find files that belong to this one.
        assert source.files == [place], source.files
        assert (source.read(window=((700, 740), (900, 990))) == numbers[:, 700:740, 900:990]).all()


with rasterio.open(f"/vsis3/tmp/{key}", "w", **profile) as target:
    target.write(numbers)
read(f"/vsis3/tmp/{key}")
read(f"/vsicurl/{base}raster/numbers.tif")
del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
env["AWS_NO_SIGN_REQUEST"] = "YES"
read(f"/vsis3/tmp/{key}")
print("done")
