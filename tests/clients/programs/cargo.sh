# cargo: a sparse registry.
. "${0%/*}/lib.sh"
mkdir -p demo-x-1.0.0/src index/de/mo project/src project/.cargo
printf '[package]\nname = "demo-x"\nversion = "1.0.0"\nedition = "2021"\n' >demo-x-1.0.0/Cargo.toml
cp "$SMALL" demo-x-1.0.0/src/lib.rs
tar -czf demo-x-1.0.0.crate demo-x-1.0.0
sum=$(sha256 demo-x-1.0.0.crate)
echo "{\"dl\":\"${BASE}{crate}-{version}.crate\"}" >index/config.json
echo "{\"name\":\"demo-x\",\"vers\":\"1.0.0\",\"deps\":[],\"cksum\":\"$sum\",\"features\":{},\"yanked\":false}" >index/de/mo/demo-x
publish index
store demo-x-1.0.0.crate demo-x-1.0.0.crate
printf '[registries.own]\nindex = "sparse+%s"\n' "$BASE" >project/.cargo/config.toml
printf '[package]\nname = "project"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\ndemo-x = { version = "1", registry = "own" }\n' \
    >project/Cargo.toml
: >project/src/lib.rs
(cd project && CARGO_HOME="$HOME/cargo" RUSTC="${CARGO%/*}/rustc" "$CARGO" --quiet fetch)
cp "$HOME"/cargo/registry/src/*/demo-x-1.0.0/src/lib.rs "$GOT/small"
echo done
