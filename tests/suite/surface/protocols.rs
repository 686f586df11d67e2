//! The same operations in HTTP/1.1 and in HTTP/2: the responses are the same.

use super::checksum;
use super::compared::{ALL, Asked, operations, told};
use crate::support::http2;
use crate::support::world::{World, corner};
use scopegate::internals::Algorithm;

#[test]
fn responses_are_the_same_in_http_1_and_2() {
    let world = World::start(&[corner("all", ALL)]);
    let connection = http2::Connection::open(world.proxy.address("all"));
    for Asked { what, method, target, headers, body } in operations() {
        let sides = [("inbox/x-", false), ("inbox/y-", true)].map(|(key, over_http2)| {
            let target = target.replace("{k}", key);
            let body = String::from_utf8(body.clone()).unwrap().replace("{k}", key).into_bytes();
            let mut headers: Vec<(&str, String)> =
                headers.iter().map(|(name, value)| (*name, value.replace("{k}", key))).collect();
            if what == "delete many" {
                headers[0].1 = checksum(Algorithm::Md5, &body).base64();
            }
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = if over_http2 {
                let answer = connection.request(method, &target, &headers, &body);
                answer.unwrap_or_else(|error| panic!("{what}: {error}\n{}", world.proxy.stderr()))
            } else {
                world.ask("all", method, &target, &headers, &body)
            };
            told(&answer, key)
        });
        let [one, two] = sides;
        assert_eq!(one, two, "{what}");
    }
    let log = world.proxy.stderr();
    assert!(log.contains("protocol=\"HTTP/1.1\"") && log.contains("protocol=\"HTTP/2.0\""), "{log}");
}
