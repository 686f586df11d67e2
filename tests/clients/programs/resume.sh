# Resumed downloads, by the program that the first argument names.
. "${0%/*}/lib.sh"
store "$MEDIUM" medium
for half in begun changed; do head -c 5000000 "$MEDIUM" >"$half"; done
case $1 in
curl)
    curl --silent --fail -C - -o begun "${BASE}medium"
    # Storing a resumed upload would replace the object with its tail.
    if curl --silent --fail -o /dev/null -C 5000000 -T "$MEDIUM" "${BASE}medium"; then exit 1; fi
    ;;
wget)
    wget --quiet --continue -O begun "${BASE}medium"
    wget --quiet --continue -O begun "${BASE}medium"
    wget --quiet --timestamping "${BASE}medium"
    wget --timestamping "${BASE}medium" 2>&1 | grep -q '304 Not Modified'
    ;;
aria2)
    aria2c --quiet -x 4 -s 4 -k 1M -o parts "${BASE}medium"
    cmp parts "$MEDIUM"
    aria2c --quiet --continue -o begun "${BASE}medium"
    ;;
esac
mv begun "$GOT/medium"
echo done
