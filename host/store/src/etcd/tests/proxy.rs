//! A connection that can be cut at the worst moment.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

/// Passes everything on between a port of its own and etcd, until it is told otherwise.
pub(super) struct Proxy {
    port: u16,
    fault: Arc<AtomicU8>,
}

const NONE: u8 = 0;
const LOSE_REQUEST: u8 = 1;
const LOSE_ANSWER: u8 = 2;

impl Proxy {
    pub(super) fn to(url: &str) -> Self {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, fault) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU8::new(NONE)));
        let shared = fault.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&target).unwrap();
                pass_on(client.try_clone().unwrap(), server.try_clone().unwrap(), shared.clone(), LOSE_REQUEST);
                pass_on(server, client, shared.clone(), LOSE_ANSWER);
            }
        });
        Self { port, fault }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Cut the connection instead of passing the next request on.
    pub(super) fn lose_next_request(&self) {
        self.fault.store(LOSE_REQUEST, Ordering::SeqCst);
    }

    /// Pass the next request on, and cut the connection instead of passing its answer back.
    pub(super) fn lose_next_answer(&self) {
        self.fault.store(LOSE_ANSWER, Ordering::SeqCst);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, fault: Arc<AtomicU8>, loss: u8) {
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            // HTTP/2 frames below this size acknowledge settings and pings; they carry no request and no answer.
            let substantial = length > 40;
            if substantial && fault.compare_exchange(loss, NONE, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                break;
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
