# Chromium: a site as generators of static sites write it. Links have query parameters, a folder is opened without its
# trailing slash, the page seeks in a video and writes objects.
. "${0%/*}/lib.sh"
mkdir -p site/docs
cp "$SMALL" site/small
cat >site/docs/index.html <<'HTML'
<!DOCTYPE html><html lang="en"><title>Docs</title><link rel="stylesheet" href="../style.css?v=80d5e7a1">
<p id="said">nothing</p><video id="video" src="../own.mp4?v=1" muted></video><script type="module" src="../app.js?v=80d5e7a1"></script>
HTML
echo '#said { color: rgb(1, 2, 3) }' >site/style.css
cat >site/app.js <<'JS'
const said = document.getElementById("said"), video = document.getElementById("video");
const text = await (await fetch("../small?utm_source=x&fbclid=y")).text();
const sought = new Promise((done) => { video.onseeked = () => done("sought"); video.onerror = () => done("no video"); });
if (video.readyState < 1) await new Promise((done) => { video.onloadedmetadata = done; video.onerror = done; });
video.currentTime = 4;
const result = [getComputedStyle(said).color, location.pathname.endsWith("/docs/"), await sought].join("|");
await fetch("../read", { method: "PUT", body: text });
await fetch("../result", { method: "PUT", body: result });
JS
program=$(python3 -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
"$program" -nostdin -loglevel error -f lavfi -i testsrc=duration=6:size=320x240:rate=25 -c:v libvpx -g 25 -f webm video.webm
publish site
store video.webm own.mp4 video/webm
chromium --headless --no-sandbox --disable-gpu --user-data-dir="$HOME/chromium" --remote-debugging-port=0 \
    "${SITE}docs?utm_source=x" >said 2>&1 &
browser=$!
trap 'kill $browser' EXIT
# The page stores its results as objects.
until curl --silent --fail -o result "${BASE}result"; do
    kill -0 $browser || { cat said >&2; exit 1; }
done
[ "$(cat result)" = 'rgb(1, 2, 3)|true|sought' ] || { cat result >&2; exit 1; }
curl --silent --fail -o "$GOT/small" "${BASE}read"
echo done
