# rclone: mirrors, moves and streams.
. "${0%/*}/lib.sh"
ask() { rclone --config /dev/null --s3-provider Minio --s3-endpoint "$ENDPOINT" --s3-no-check-bucket "$@"; }
at=":s3:tmp/${PREFIX%/}"
mkdir -p data/deep
cp "$SMALL" data/small
cp "$MEDIUM" 'data/deep/the medium'
ask sync data "$at/data"
ask check data "$at/data"
rm data/small
ask sync data "$at/data"
ask check data "$at/data"
ask moveto "$at/data/deep/the medium" "$at/moved"
ask cat "$at/moved" >"$GOT/medium"
ask rcat "$at/streamed" <"$SMALL"
ask copyto "$at/streamed" "$GOT/small"
# Without keys, rclone links to the object itself.
[ "$(ask link "$at/streamed")" = "$ENDPOINT/tmp/${PREFIX}streamed" ]
ask purge "$at/data"
echo done
