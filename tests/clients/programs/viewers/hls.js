// hls.js: plays a playlist of segments to its end, then one of ranges of a single file.
import Hls from "hls.js";

function play(url) {
  const video = document.querySelector("video");
  const hls = new Hls({ enableWorker: false });
  const fragments = new Set();
  return new Promise((resolve, reject) => {
    hls.on(Hls.Events.FRAG_LOADED, (_, { frag }) => fragments.add(frag.sn));
    hls.on(Hls.Events.ERROR, (_, error) => error.fatal && reject(new Error(`${url}: ${error.details}`)));
    video.onended = () =>
      resolve({
        fragments: fragments.size,
        width: video.videoWidth,
        height: video.videoHeight,
        seconds: Math.round(video.currentTime),
      });
    hls.loadSource(url);
    hls.attachMedia(video);
    video.playbackRate = 4;
    video.play().catch(reject);
  }).finally(() => hls.destroy());
}

export async function read({ viewer }) {
  const played = {};
  for (const list of ["segments.m3u8", "ranges.m3u8"]) played[list] = await play(viewer + list);
  return played;
}
