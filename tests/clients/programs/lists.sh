# Programs that follow the links in a folder's list must find every object below it. The first argument names the program.
# The folder has names that need escapes, and more names than fit on one page of a list.
. "${0%/*}/lib.sh"
mkdir -p 'tree/deep/ü er' tree/many
cp "$SMALL" tree/small
cp "$SMALL" 'tree/deep/ü er/a b+c%d#e&f.txt'
cp "$SMALL" tree/deep/it:is.txt
seq -f 'tree/many/%04g' 1 1100 | xargs touch
rclone --config /dev/null --s3-provider Minio --s3-endpoint "$ENDPOINT" --s3-no-check-bucket copy --transfers 16 tree \
    ":s3:tmp/${PREFIX}tree"
case $1 in
wget) wget --quiet -e robots=off --recursive --level=inf --no-parent --no-host-directories --cut-dirs=4 -P found --reject 'index.html*' "${BASE}tree/" ;;
lftp)
    lftp -c "set net:max-retries 1; set http:use-mkcol no; mirror ${BASE}tree found"
    lftp -c "set net:max-retries 1; open ${BASE}tree && cls && put $MEDIUM && pget -n 3 medium -o got && rm medium"
    cmp got "$MEDIUM"
    ;;
rclone) rclone --config /dev/null copy --http-url "${BASE}tree" :http: found ;;
esac
diff --recursive tree found >&2
cp found/small "$GOT"
echo done
