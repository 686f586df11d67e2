# restic: makes a backup, prunes, checks and restores it.
. "${0%/*}/lib.sh"
mkdir data restored
cp "$SMALL" data/small
cp "$MEDIUM" data/medium
export RESTIC_PASSWORD=any AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=anyanyany
ask() { restic --quiet --no-cache -r "s3:$ENDPOINT/tmp/${PREFIX}repository" "$@"; }
ask init
ask backup data
ask backup data
ask forget --keep-last 1 --prune
ask check --read-data
ask restore latest --target restored
cp restored/data/small restored/data/medium "$GOT"
echo done
