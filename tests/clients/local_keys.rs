//! What S3 clients do with an access key that Scopegate alone knows, over plain HTTP: presigned URLs, mirrors, signed
//! uploads, and the errors that they show.
//!
//! The listener refuses unknown keys, and its one mapping demands the key.

use crate::programs::{BOTH, PYTHON_OF_CLIENTS, Program, SMALL, command, finish};
use crate::two_at_a_time;
use crate::world::World;

pub(crate) const LOCAL: &[Program] = &[
    local("AWS CLI 1's presigned URLs", &["curl", "aws"], &["../keys/presign.sh", "aws"], BOTH),
    local(
        "AWS CLI 2's presigned URLs",
        &["curl", "/usr/bin/aws"],
        &["../keys/presign.sh", "/usr/bin/aws"],
        BOTH,
    ),
    local("boto3", &["curl", PYTHON_OF_CLIENTS], &["../keys/boto3_urls.py"], BOTH),
    local("AWS CLI 1", &["aws"], &["../keys/aws.sh", "aws"], BOTH),
    local("AWS CLI 2", &["/usr/bin/aws"], &["../keys/aws.sh", "/usr/bin/aws"], BOTH),
    local("mc", &["mc", "curl"], &["../keys/mc.sh"], BOTH),
    local("rclone", &["rclone", "curl"], &["../keys/rclone.sh"], BOTH),
    local("s5cmd", &["s5cmd", "curl"], &["../keys/s5cmd.sh"], BOTH),
    local("minio-py", &[PYTHON_OF_CLIENTS], &["../keys/minio_py.py"], SMALL),
    local(
        "AWS SDK for Java 2, old",
        &["java", "java/2.17.295/s3-2.17.295.jar"],
        &["java.sh", "2.17.295"],
        BOTH,
    ),
    local("AWS SDK for Java 2", &["java", "java/2.58.0/s3-2.58.0.jar"], &["java.sh", "2.58.0"], BOTH),
    local(
        "AWS SDK for JavaScript 3",
        &["node", "curl", "node/node_modules/@aws-sdk/client-s3/package.json"],
        &["node.sh", "aws_sdk_js3.cjs"],
        BOTH,
    ),
];

const fn local(
    name: &'static str,
    needs: &'static [&'static str],
    script: &'static [&'static str],
    reads: &'static [&'static str],
) -> Program {
    Program { name, does: "", setting: "", needs, script, reads }
}

/// Runs a program's script with the local key.
///
/// # Errors
/// As [`finish`].
fn run(world: &World, program: &Program) -> Result<(), String> {
    let mut command = command(world, program);
    let host = world.proxy.address("identified");
    command
        .env("ENDPOINT", format!("http://{host}"))
        .envs([("AWS_REGION", "us-east-1"), ("AWS_DEFAULT_REGION", "us-east-1")])
        .envs([
            ("AWS_ACCESS_KEY_ID", &world.key.access_key),
            ("AWS_SECRET_ACCESS_KEY", &world.key.secret_key),
        ]);
    finish(world, program, command)
}

#[test]
fn clients_with_a_local_access_key_presign_mirror_and_fail_as_with_s3() {
    let present: Vec<&Program> = LOCAL.iter().filter(|program| program.is_installed()).collect();
    let world = World::start();
    let failures = two_at_a_time(&present, |program| run(&world, program).err());
    let failures: Vec<String> = failures.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let log = world.proxy.stderr();
    let seen = ["expired-signature", "wrong-signature", "unknown-key"];
    assert!(seen.iter().all(|rule| log.contains(rule)), "each refusal has its line in the log");
    assert!(
        !log.contains(&world.key.secret_key) && !log.contains("X-Amz-Signature"),
        "secrets stay out of the log"
    );
}
