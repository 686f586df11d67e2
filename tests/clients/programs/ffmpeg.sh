# ffmpeg: reads with seeking, writes a file, and writes and reads a stream (HLS). It closes the connection of an upload
# without waiting for the answer.
. "${0%/*}/lib.sh"
program=$(python3 -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
ask() { "$program" -nostdin -loglevel error -y "$@"; }
ask -f lavfi -i testsrc=duration=6:size=320x240:rate=25 -c:v libx264 -g 25 own.mp4
store own.mp4 own.mp4 video/mp4
frames() { ask -i "$1" -map 0:v -f framemd5 - | grep -v '^#' | cut -d , -f 5,6; }
frames own.mp4 >expected
frames "${BASE}own.mp4" | cmp - expected
ask -ss 4 -i "${BASE}own.mp4" -frames:v 1 -f null -
ask -i own.mp4 -c copy -movflags frag_keyframe+empty_moov -f mp4 -method PUT "${BASE}written.mp4"
# At the speed of a camera, since ffmpeg does not wait for the store between two versions of the playlist.
ask -re -i own.mp4 -c copy -f hls -hls_time 1 -hls_list_size 0 -method PUT "${BASE}live/list.m3u8"
# ffmpeg has ended, but the proxy may still be storing its last upload.
tries=0
until frames "${BASE}written.mp4" 2>/dev/null | cmp -s - expected && [ "$(curl --silent "${BASE}live/list.m3u8" | grep -c '\.ts$')" = 6 ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo 'the store lacks frames or segments that ffmpeg wrote' >&2; exit 1; }
done
[ "$(frames "${BASE}live/list.m3u8" | wc -l)" = 150 ]
echo done
