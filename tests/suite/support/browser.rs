//! A real Chromium, driven through `ChromeDriver` by the `WebDriver` protocol (<https://www.w3.org/TR/webdriver2/>).

use super::{
    http,
    process::{Killed, wait_for},
};
use aws_smithy_types::base64;
use serde_json::{Value, json};
use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A browser, closed on drop.
pub(crate) struct Browser {
    address: SocketAddr,
    session: String,
    _driver: Killed,
    folder: TempDir,
}

/// An element of a page.
#[derive(Clone, Debug)]
pub(crate) struct Element(String);

/// The JSON key of an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// Starts a browser. Returns `None` if none is installed, which is a failure with `CI=true`.
    pub(crate) fn start() -> Option<Self> {
        let found = (
            program("CHROMEDRIVER_BIN", &["chromedriver"]),
            program("CHROMIUM_BIN", &["chromium", "google-chrome"]),
        );
        let (Some(driver), Some(chromium)) = found else {
            let missing = "no Chromium with ChromeDriver: apt-get install chromium chromium-driver, or name them in CHROMIUM_BIN and CHROMEDRIVER_BIN";
            assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
            eprintln!("not tested in a browser: {missing}");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let (driver, address) = launch(&driver, folder.path());
        let mut browser = Self { address, session: String::new(), _driver: driver, folder };
        let (profile, downloads) = (browser.folder.path().join("profile"), browser.downloads());
        fs::create_dir(&downloads).unwrap();
        let created = browser.call("POST", "/session", &capabilities(&chromium, &profile, &downloads));
        browser.session = format!("/session/{}", created["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let headers = [("Content-Type", "application/json")];
        let answer = http::request(self.address, method, path, &headers, body.as_bytes()).unwrap();
        let mut answered: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.status(), 200, "{method} {path}: {answered}");
        answered["value"].take()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("{}{path}", self.session), body)
    }

    fn get(&self, path: &str) -> Value {
        self.call("GET", &format!("{}{path}", self.session), &Value::Null)
    }

    /// Returns the folder for downloads.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// Opens an address and waits until it is loaded.
    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Returns the address of the current page.
    pub(crate) fn url(&self) -> String {
        self.get("/url").as_str().unwrap().to_owned()
    }

    /// Returns all elements that match a CSS selector.
    pub(crate) fn all(&self, selector: &str) -> Vec<Element> {
        let found = self.post("/elements", &json!({ "using": "css selector", "value": selector }));
        found
            .as_array()
            .unwrap()
            .iter()
            .map(|element| Element(element[ELEMENT].as_str().unwrap().to_owned()))
            .collect()
    }

    /// Returns the link with exactly this text.
    pub(crate) fn link(&self, text: &str) -> Element {
        let found = self.post("/element", &json!({ "using": "link text", "value": text }));
        Element(found[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Clicks, and waits until the target is loaded.
    pub(crate) fn click(&self, element: &Element) {
        self.post(&format!("/element/{}/click", element.0), &json!({}));
    }

    /// Returns the value of a property, such as the resolved `href` of a link.
    pub(crate) fn property(&self, element: &Element, name: &str) -> Value {
        self.get(&format!("/element/{}/property/{name}", element.0))
    }

    /// Types a text into a field, or picks the files at these paths, one per line.
    pub(crate) fn type_into(&self, element: &Element, text: &str) {
        self.post(&format!("/element/{}/value", element.0), &json!({ "text": text }));
    }

    /// Empties a field.
    pub(crate) fn clear(&self, element: &Element) {
        self.type_into(element, "\u{e009}a\u{e000}\u{e003}");
    }

    /// Pastes what was copied into a field.
    pub(crate) fn paste_into(&self, element: &Element) {
        self.type_into(element, "\u{e009}v\u{e000}");
    }

    /// Drops files and folders on the page, as a person does from another window.
    pub(crate) fn drop_files(&self, files: &[PathBuf]) {
        for kind in ["dragEnter", "dragOver", "drop"] {
            let data = json!({ "items": [], "files": files, "dragOperationsMask": 1 });
            self.devtools(
                "Input.dispatchDragEvent",
                &json!({ "type": kind, "x": 50, "y": 50, "data": data }),
            );
        }
    }

    /// Slows uploads down to this many bytes a second. 0 means no limit.
    pub(crate) fn throttle_uploads(&self, rate: u32) {
        let rate = if rate == 0 { -1 } else { i64::from(rate) };
        let conditions =
            json!({ "offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate });
        self.devtools("Network.enable", &json!({}));
        self.devtools("Network.emulateNetworkConditions", &conditions);
    }

    /// Keeps pages from running their scripts.
    pub(crate) fn disable_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    }

    /// Runs a script and returns its result.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Returns the text content of the document.
    pub(crate) fn text(&self) -> String {
        self.run("return document.body.textContent").as_str().unwrap().to_owned()
    }

    /// Sets the width and the colour scheme of the screen.
    pub(crate) fn screen(&self, width: u32, dark: bool) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 2, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        let value = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// Shows pages as they are printed, by a browser that is set to dark colours.
    pub(crate) fn paper(&self) {
        let dark = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "media": "print", "features": dark }));
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// Returns new messages of the console: errors, and violations of a page's policy.
    pub(crate) fn console(&self) -> Vec<String> {
        let said = self.post("/se/log", &json!({ "type": "browser" }));
        said.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Saves a screenshot in target/tmp/screenshots for people to look at.
    pub(crate) fn picture(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let png = base64::decode(self.get("/screenshot").as_str().unwrap()).unwrap();
        assert!(png.starts_with(b"\x89PNG"), "{name} is no picture");
        fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser. If the driver is killed, the browser keeps running.
        if !self.session.is_empty() {
            let _gone_already = http::request(self.address, "DELETE", &self.session, &[], b"");
        }
    }
}

fn capabilities(chromium: &Path, profile: &Path, downloads: &Path) -> Value {
    let profile = format!("--user-data-dir={}", profile.display());
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        // The browser reaches nothing but this machine. The mapped names are not secure contexts.
        "--host-resolver-rules=MAP proxy.test 127.0.0.1, MAP evil.test 127.0.0.1, MAP app.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        &profile,
    ];
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": {
            "binary": chromium,
            "args": arguments,
            "prefs": { "download.default_directory": downloads },
        },
        "goog:loggingPrefs": { "browser": "ALL" },
    }}})
}

/// The attempts to start the driver. It takes a free port of IPv6 and ends if another process has the same one of IPv4.
const LAUNCHES: usize = 5;

/// Starts the driver.
fn launch(driver: &Path, folder: &Path) -> (Killed, SocketAddr) {
    let mut failures = Vec::new();
    while failures.len() < LAUNCHES {
        match try_launch(driver, folder) {
            Ok(launched) => return launched,
            Err(said) => failures.push(said),
        }
    }
    panic!("ChromeDriver did not start:\n{}", failures.join("\n"));
}

/// Starts the driver on a port that it chooses, and waits until it reports the port. Returns what it said if it ended.
fn try_launch(driver: &Path, folder: &Path) -> Result<(Killed, SocketAddr), String> {
    let log = folder.join("chromedriver.log");
    let mut process = Killed(
        Command::new(driver)
            .arg("--port=0")
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let said = || fs::read_to_string(&log).unwrap();
    let port = wait_for(|| {
        let port = said()
            .split_once("started successfully on port ")
            .and_then(|(_, rest)| rest.split_once('.').and_then(|(port, _)| port.parse::<u16>().ok()));
        port.map(Some).or_else(|| process.has_ended().then_some(None))
    });
    match port {
        Some(Some(port)) => Ok((process, (Ipv4Addr::LOCALHOST, port).into())),
        _ => Err(said()),
    }
}

/// Returns the program that a variable names, or the first of these on the PATH.
fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Some(path.into());
    }
    let paths: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let at = |name: &&str| paths.iter().map(|path| path.join(name)).find(|path| path.is_file());
    names.iter().find_map(at)
}
