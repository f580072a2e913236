//! `kube-ipam serve`, started for a test, and requests as a test writes them: to the letter.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::program::{NO_LOG, program};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Killed when it goes out of scope.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    url: String,
    /// Kept open: the server may have more to say.
    _stdout: BufReader<ChildStdout>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Replied {
    /// The status of the answer.
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// All that follows the headers.
    pub body: String,
}

impl Serving {
    /// Serve with these arguments, on a free port of loopback.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", arguments)
    }

    /// The same at another address.
    pub fn start_at(listen: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(["serve", "--listen", listen]).args(arguments).env_remove("CNI_COMMAND").envs([NO_LOG]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        stdout.read_line(&mut url).unwrap();
        let url = url.trim().trim_end_matches('/').to_owned();
        assert!(url.starts_with("http"), "serve {arguments:?}: {:?}", child.wait());
        Self { child, url, _stdout: stdout }
    }

    /// As it says where it is, without a slash behind it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.url.split("//").nth(1).unwrap().parse().unwrap()
    }

    /// GET a path as a browser on this machine would.
    pub fn get(&self, path: &str) -> Replied {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address()))
    }

    /// GET a part of the programming interface that has to be there.
    pub fn json(&self, part: &str) -> Value {
        let replied = self.get(&format!("/api/v1/{part}"));
        assert_eq!(replied.status, 200, "{part}: {replied:?}");
        assert_eq!(replied.header("content-type"), Some("application/json"));
        serde_json::from_str(&replied.body).unwrap()
    }

    /// Send these bytes, and read until the server ends the connection.
    pub fn send(&self, request: &str) -> Replied {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        Replied::read(stream)
    }

    /// A connection that nothing was sent on yet.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Ask it to stop, as systemd does; how it ended.
    pub fn stop(mut self) -> std::process::ExitStatus {
        self.terminate();
        self.child.wait().unwrap()
    }

    /// Ask it to stop, and do not wait.
    pub fn terminate(&self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Replied {
    /// The answer on a connection: to its end, or as long as it says it is.
    pub fn read(stream: impl Read) -> Self {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = reader.read_line(&mut line);
            assert!(read.is_ok_and(|read| read > 0), "no answer but {lines:?}");
            if line == "\r\n" {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &String| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_lowercase(), value.trim().to_owned())
        };
        let mut replied = Self { status, headers: lines[1..].iter().map(header).collect(), body: String::new() };
        let length = replied.header("content-length").map_or(u64::MAX, |length| length.parse().unwrap());
        let mut bytes = Vec::new();
        // A server that closes without having read everything resets the connection behind its answer.
        let _ = reader.take(length).read_to_end(&mut bytes);
        replied.body = String::from_utf8_lossy(&bytes).into_owned();
        replied
    }

    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
