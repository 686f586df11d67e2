//! The load under which a profile of Scopegate is recorded (`cargo xtask dist`).

use super::PROXY_CORE;
use super::certificates::{Certificates, KeyKind};
use super::configs::Behind;
use super::load::closed::Closed;
use super::load::{Request, on_this_thread, transfers};
use super::origin::{Origin, any_keys};
use super::proxies::{Running, Setup, Variant};
use super::sections::object;
use std::path::Path;
use std::time::Duration;

/// The sizes of small bodies: with the head in one write, and after it.
const SMALL: [u64; 2] = [1 << 10, 32 << 10];
/// The size of bodies that are spliced without TLS and copied with it.
const LARGE: u64 = 16 << 20;
/// How long each load of small objects lasts.
const LENGTH: Duration = Duration::from_secs(2);

/// Loads `program`, whose processes have ended when this returns.
///
/// What is counted does not depend on the speed, so everything shares one core.
///
/// # Errors
/// The program does not start, or a request fails.
pub(crate) fn train(program: &Path) -> Result<(), String> {
    let origin = Origin::start(PROXY_CORE)?;
    let certificates = Certificates::create()?;
    let (issuer, session) = any_keys();
    let behind = Behind { store: origin.address, sts: origin.address };
    let setup = Setup { behind, issuer, session, certificates: &certificates, core: PROXY_CORE };
    let variant = |access_log| Variant::scopegate("the recording build", program, access_log);
    for variant in [variant(false), variant(true), variant(false).with_key(KeyKind::Ecdsa)] {
        load(&variant.start(&setup, &object(1))?)?;
    }
    Ok(())
}

/// Sends what most clients send: small objects on a few or many connections, and large ones.
fn load(proxy: &Running) -> Result<(), String> {
    let endpoint = proxy.endpoint();
    for bytes in SMALL {
        for connections in [1, 64, 256] {
            let closed = Closed { connections, length: LENGTH };
            on_this_thread(closed.run(&endpoint, &Request::get(&object(bytes))))?;
        }
        on_this_thread(transfers::all(&endpoint, 64, 20, &Request::put(&object(bytes), bytes)))?;
    }
    for request in [Request::get(&object(LARGE)), Request::put(&object(LARGE), LARGE)] {
        on_this_thread(transfers::all(&endpoint, 8, 4, &request))?;
    }
    Ok(())
}
