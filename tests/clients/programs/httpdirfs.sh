# httpdirfs: mounts a folder from its list, with names and sizes of all files, and reads whole files and parts.
. "${0%/*}/lib.sh"
mkdir -p 'tree/deep/ü er' tree/many mounted
cp "$SMALL" tree/small
cp "$SMALL" 'tree/deep/ü er/a b+c%d.txt'
cp "$MEDIUM" tree/medium
# The files are not empty, because httpdirfs hides empty files of any server.
seq -f '%04g' 1 1100 | while read -r name; do echo "$name" >"tree/many/$name"; done
rclone --config /dev/null --s3-provider Minio --s3-endpoint "$ENDPOINT" --s3-no-check-bucket copy --transfers 16 tree \
    ":s3:tmp/${PREFIX}tree"
httpdirfs -f "${BASE}tree/" mounted >said 2>&1 &
mount=$!
# A mount that outlives its program would keep the folder from being removed.
trap 'fusermount -u -z mounted; wait $mount' EXIT
trap 'exit 1' TERM
until mountpoint -q mounted; do
    kill -0 $mount || { cat said >&2; exit 1; }
done
tail -c 1000 mounted/medium >tail
tail -c 1000 "$MEDIUM" | cmp - tail
for folder in tree mounted; do find "$folder" -type f -printf '%P %s\n' | sort >"in-$folder"; done
diff in-tree in-mounted >&2
diff --recursive tree/deep mounted/deep >&2
cp mounted/small mounted/medium "$GOT"
echo done
