// geotiff.js: reads the position of a raster and a window of its pixels.
import { fromUrl } from "geotiff";

export async function read({ viewer }) {
  const file = await fromUrl(viewer + "numbers.tif");
  const image = await file.getImage();
  const [pixels] = await image.readRasters({ window: [900, 1700, 920, 1710] });
  return {
    size: [image.getWidth(), image.getHeight()],
    levels: await file.getImageCount(),
    box: image.getBoundingBox().map(Math.round),
    pixels: [...pixels],
  };
}
