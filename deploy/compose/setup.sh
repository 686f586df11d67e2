#!/bin/sh
# Sets up MinIO with mc: a bucket, an object, and the issuer with its policy.
set -eu
until mc alias set store http://minio:9000 root-admin "$MINIO_ROOT_PASSWORD" >/dev/null 2>&1; do
    sleep 1
done
mc mb --ignore-existing store/tmp
echo "Hello from MinIO." | mc pipe store/tmp/media/hello.txt
mc admin user add store stsadmin "$ISSUER_SECRET"
mc admin policy create store scopegate-issuer /issuer-policy.json
# When this runs again, the policy is already attached. Any other failure is an error.
said=$(mc admin policy attach store scopegate-issuer --user stsadmin 2>&1) || case $said in
*"already in effect"*) ;;
*)
    echo "$said" >&2
    exit 1
    ;;
esac
