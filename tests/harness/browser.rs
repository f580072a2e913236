//! A real Chromium without a window, driven through its own driver.
//!
//! The driver speaks JSON over HTTP, as WebDriver has it; of its commands a test needs five, most of them Chromium's own, which is
//! why there is no library for it.
//!
//! Each has a profile of its own that goes with it, asks nobody but the pages that a test opens, and tells afterwards what it
//! asked for and what its console said.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::serving::Replied;
use crate::untested;

/// How long a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What keeps the browser from talking to anybody by itself, and lets it run as root and without a screen.
const ARGUMENTS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// A browser with one page. It ends with the test.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    port: u16,
    /// The path of this browser at its driver.
    session: String,
    /// Kept open: the driver may have more to say.
    _stdout: BufReader<ChildStdout>,
    _profile: TempDir,
}

/// A screen.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// How many pixels of the device are one of CSS.
    pub scale: f64,
    /// Whether it is one that is touched.
    pub mobile: bool,
}

impl Screen {
    /// A laptop's.
    pub const LAPTOP: Self = Self { width: 1280, height: 900, scale: 1.0, mobile: false };
    /// A phone's.
    pub const PHONE: Self = Self { width: 390, height: 844, scale: 2.0, mobile: true };
}

impl Browser {
    /// `None`, with a word, where there is no Chromium; in CI that is a failure.
    pub fn start() -> Option<Self> {
        let driver = "/usr/bin/chromedriver";
        if !Path::new(driver).exists() || !Path::new("/usr/bin/chromium").exists() {
            untested("the page in a browser", "it needs chromium and chromium-driver; `make tools` installs them");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(driver);
        command.arg("--port=0").process_group(0).env("HOME", profile.path()).env("TMPDIR", profile.path());
        let mut driver = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(driver.stdout.take().unwrap());
        let port = port_in(&mut stdout);
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let started = command_at(port, "/session", &capabilities);
        let session = format!("/session/{}", started["sessionId"].as_str().unwrap());
        Some(Self { driver, port, session, _stdout: stdout, _profile: profile })
    }

    /// Open a page.
    pub fn open(&self, url: &str) {
        self.tell("url", json!({"url": url}));
    }

    /// Run a function's body in the page; what it returns, also where it promises that.
    pub fn run(&self, script: &str) -> Value {
        let body = format!(
            "const done = arguments[arguments.length - 1]; (async () => {{ {script} }})().then(done, (e) => done({{ failed: String(e) }}));"
        );
        let ran = self.tell("execute/async", json!({"script": body, "args": []}));
        assert!(ran["failed"].is_null(), "{script}: {ran}");
        ran
    }

    /// Wait until an expression of the page is true.
    pub fn wait_for(&self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.run(&format!("return Boolean({expression});")) != json!(true) {
            assert!(Instant::now() < end, "never {expression}; the page says: {}", self.text("body"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// All text of an element, as a person sees it.
    pub fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({}).innerText;", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Press keys one after the other, as the names of keys are: `Enter`, `ArrowDown`.
    pub fn press(&self, keys: &[&str]) {
        for key in keys {
            for kind in ["keyDown", "keyUp"] {
                // A form is sent by the character that the key makes.
                let (text, number) = if *key == "Enter" { ("\r", 13) } else { ("", 0) };
                self.tell_devtools(
                    "Input.dispatchKeyEvent",
                    json!({"type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": number}),
                );
            }
        }
    }

    /// Type a text where the focus is.
    pub fn type_text(&self, text: &str) {
        self.tell_devtools("Input.insertText", json!({"text": text}));
    }

    /// Another screen.
    pub fn on(&self, screen: Screen) {
        let Screen { width, height, scale, mobile } = screen;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile});
        self.tell_devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// What the person prefers: `prefers-color-scheme` `dark`, for example.
    pub fn prefers(&self, features: &[(&str, &str)]) {
        let features: Vec<Value> = features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.tell_devtools("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// A picture of what is on the screen, PNG in base64.
    pub fn picture(&self) -> String {
        let taken = self.tell_devtools("Page.captureScreenshot", json!({"format": "png"}));
        taken["data"].as_str().unwrap().to_owned()
    }

    /// What the console said since it was asked last, but for news of no consequence.
    pub fn console(&self) -> Vec<String> {
        let lines = self.log("browser");
        let line = |entry: &Value| format!("{} {}", entry["level"], entry["message"]);
        lines.iter().filter(|entry| entry["level"] != "DEBUG" && entry["level"] != "INFO").map(line).collect()
    }

    /// Every address that was asked for since it was asked last.
    pub fn requested(&self) -> Vec<String> {
        let mut urls = Vec::new();
        for entry in self.log("performance") {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if event["message"]["method"] == "Network.requestWillBeSent" {
                urls.push(event["message"]["params"]["request"]["url"].as_str().unwrap().to_owned());
            }
        }
        urls
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let told = self.tell("se/log", json!({"type": kind}));
        told.as_array().unwrap().clone()
    }

    fn tell_devtools(&self, command: &str, parameters: Value) -> Value {
        self.tell("goog/cdp/execute", json!({"cmd": command, "params": parameters}))
    }

    fn tell(&self, command: &str, parameters: Value) -> Value {
        command_at(self.port, &format!("{}/{command}", self.session), &parameters)
    }
}

/// A command of WebDriver: the value that it answers with.
fn command_at(port: u16, path: &str, parameters: &Value) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = parameters.to_string();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}Content-Type: application/json\r\n\r\n{body}").as_bytes()).unwrap();
    let replied = Replied::read(stream);
    assert_eq!(replied.status, 200, "{path} {parameters}: {}", replied.body);
    serde_json::from_str::<Value>(&replied.body).unwrap()["value"].take()
}

/// The driver says which port it chose.
fn port_in(stdout: &mut impl BufRead) -> u16 {
    let mut line = String::new();
    while stdout.read_line(&mut line).unwrap() > 0 {
        if line.contains("started successfully") {
            let port = line.split("on port ").nth(1).unwrap();
            return port.trim().trim_end_matches('.').parse().unwrap();
        }
        line.clear();
    }
    panic!("chromedriver ended");
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser is of the driver's group, and ends with it however the test does.
        let _ = killpg(Pid::from_raw(i32::try_from(self.driver.id()).unwrap()), Signal::SIGKILL);
        drop(self.driver.wait());
    }
}
