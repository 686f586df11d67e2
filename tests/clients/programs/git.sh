# git: clones a bare repository of a static host and pulls from it. git requests `info/refs?service=git-upload-pack`.
. "${0%/*}/lib.sh"
git config --global user.name tester
git config --global user.email tester@example.test
git config --global init.defaultBranch main
publish_repository() {
    git -C bare.git repack -adq
    git -C bare.git update-server-info
    publish .
}
git init --quiet --bare bare.git
git init --quiet work
cp "$SMALL" work/small
git -C work add small
git -C work commit --quiet -m first
git -C work push --quiet ../bare.git main
publish_repository
git clone --quiet "${BASE}bare.git" clone
cp "$MEDIUM" work/medium
git -C work add medium
git -C work commit --quiet -m second
git -C work push --quiet ../bare.git main
publish_repository
git -C clone pull --quiet
git -C clone fsck --strict
cp clone/small clone/medium "$GOT"
echo done
