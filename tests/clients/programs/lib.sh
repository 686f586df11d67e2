# What the scripts of programs share. BASE is the URL of the program's own folder, SITE that of the same folder at a
# listener that serves it as a static host. SMALL and MEDIUM are files to send; what is read goes into the folder GOT.
set -eu

# store FILE NAME [TYPE]: stores a file with curl.
store() {
    curl --silent --show-error --fail --output /dev/null -T "$1" -H "Content-Type: ${3:-application/octet-stream}" "$BASE$2"
}

# publish FOLDER: stores all files of a folder, under the paths that they have in it. No path may need escapes.
publish() {
    (cd "$1" && find . -type f) | sed 's#^\./##' | while read -r path; do
        case $path in
        *.html) store "$1/$path" "$path" text/html ;;
        *.css) store "$1/$path" "$path" text/css ;;
        *.js) store "$1/$path" "$path" text/javascript ;;
        *) store "$1/$path" "$path" ;;
        esac
    done
}

sha256() { sha256sum "$1" | cut -d ' ' -f 1; }

# Debian's AWS CLI, whose modules are Debian's too.
aws() { PATH=/usr/bin:/bin AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=anyanyany /usr/bin/aws "$@"; }
