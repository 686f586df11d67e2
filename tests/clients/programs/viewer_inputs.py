"""Inputs of the viewers. Each function stores the objects of one viewer, and returns the report that it must give."""

import glob
import os
import subprocess
import urllib.request

import imageio_ffmpeg
import numpy
import rasterio
import rasterio.transform

env = os.environ


def store(path, kind, more_headers=None):
    """Stores a file under its own name, with its type and more headers."""
    with open(path, "rb") as source:
        content = source.read()
    headers = {"Content-Type": kind, **(more_headers or {})}
    request = urllib.request.Request(env["BASE"] + os.path.basename(path), content, headers, method="PUT")
    urllib.request.urlopen(request).close()


def pdf():
    """Stores a PDF of 40 pages, each with a line of text and an incompressible image of 30 kB."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", None, b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]

    def add(head, stream=None):
        body = b"" if stream is None else b"\nstream\n" + stream + b"\nendstream"
        length = b"" if stream is None else b" /Length %d" % len(stream)
        objects.append(b"<< " + head + length + b" >>" + body)
        return len(objects)

    pages = []
    for number in range(1, 41):
        about = b"/Type /XObject /Subtype /Image /Width 100 /Height 100 /ColorSpace /DeviceRGB /BitsPerComponent 8"
        image = add(about, os.urandom(30_000))
        content = add(b"", b"BT /F 24 Tf 50 700 Td (This is page %d) Tj ET q 300 0 0 300 50 300 cm /I Do Q" % number)
        resources = b"<< /Font << /F 3 0 R >> /XObject << /I %d 0 R >> >>" % image
        page = b"/Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources %b /Contents %d 0 R" % (resources, content)
        pages.append(add(page))
    kids = b" ".join(b"%d 0 R" % page for page in pages)
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(pages), kids)
    file, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    file += b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        table,
        len(objects) + 1,
        len(file),
    )
    with open("document.pdf", "wb") as target:
        target.write(file)
    # pdf.js first requests the whole document, and cancels when it has read the header. On a slow machine, Chromium has
    # received all of it by then. From its cache, it would serve each range after a request that is answered with 304.
    store("document.pdf", "application/pdf", {"Cache-Control": "no-store"})
    return {"pages": 40, "text": "This is page 33"}


def hls():
    """Stores six seconds of video, once as a playlist of segments and once as one of ranges of a single file."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error"]
    ffmpeg += ["-f", "lavfi", "-i", "testsrc=duration=6:size=320x240:rate=25", "-f", "lavfi", "-i", "sine=duration=6"]
    ffmpeg += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac"]
    ffmpeg += ["-f", "hls", "-hls_time", "2", "-hls_list_size", "0"]
    subprocess.run([*ffmpeg, "segments.m3u8"], check=True)
    subprocess.run([*ffmpeg, "-hls_flags", "single_file", "ranges.m3u8"], check=True)
    for path in glob.glob("*.ts"):
        store(path, "video/mp2t")
    for name in ["segments.m3u8", "ranges.m3u8"]:
        store(name, "application/vnd.apple.mpegurl")
    played = {"fragments": 3, "width": 320, "height": 240, "seconds": 6}
    return {"segments.m3u8": played, "ranges.m3u8": played}


def cog():
    """Stores a cloud-optimised GeoTIFF of several MB of random pixels."""
    numbers = numpy.random.default_rng(1).integers(0, 255, (1, 2000, 2000), "uint8")
    place = rasterio.transform.from_origin(0, 10, 0.01, 0.01)
    shape = {"width": 2000, "height": 2000, "count": 1, "dtype": "uint8"}
    with rasterio.open("numbers.tif", "w", driver="COG", crs="EPSG:4326", transform=place, **shape) as target:
        target.write(numbers)
        levels = 1
    with rasterio.open("numbers.tif") as source:
        levels += len(source.overviews(1))
    assert levels > 1, "GDAL wrote no overviews"
    store("numbers.tif", "image/tiff")
    pixels = numbers[0, 1700:1710, 900:920].flatten().tolist()
    return {"size": [2000, 2000], "levels": levels, "box": [0, -10, 20, 10], "pixels": pixels}


def sdk():
    """Stores nothing, since the page writes its objects itself."""
    return {"keys": ["medium", "small"], "presigned": 200, "missing": "NoSuchKey"}
