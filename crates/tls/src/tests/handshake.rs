//! Handshakes.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn carries_bytes_both_ways() {
    let (tls, authority) = simple();
    let (accepted, connected) = connect(&tls, &client_config(&authority, None), "a.test").await;
    let ((mut server, established), mut client) = (accepted.unwrap(), connected.unwrap());
    assert_eq!((established.version, established.http2, established.is_resumed), ("1.3", false, false));
    assert_eq!(established.server_name.as_deref(), Some("a.test"));
    let sent: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
    let (mut read, mut read_back) = (Vec::new(), Vec::new());
    let echo = async {
        server.read_to_end(&mut read).await.unwrap();
        server.write_all(&read).await.unwrap();
        server.shutdown().await.unwrap();
    };
    let ask = async {
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        client.read_to_end(&mut read_back).await.unwrap();
    };
    tokio::join!(echo, ask);
    assert!(read == sent && read_back == sent);
}
