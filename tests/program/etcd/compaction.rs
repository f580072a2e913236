//! etcd that is compacted while a command reads everything: kube-apiserver has its own compacted every five minutes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::listing::operate;
use serde_json::json;

use super::faults::revision;
use super::{add, all_at_once};

/// With three records each, more than is read at once.
const HELD: usize = 360;

/// Less than the first thousand records, and more than all that `doctor` reads before them.
const AMID: usize = 100_000;

#[test]
fn fsck_and_doctor_come_to_their_end_though_etcd_is_compacted_amid_them() {
    let etcd = Arc::new(Setup::single().start());
    let network = etcd.network(&json!({"subnet": "10.1.0.0/16"}));
    for batch in 0..HELD / 20 {
        let answers = all_at_once((0..20).map(|nth| add(&format!("c{}", batch * 20 + nth), &network)));
        answers.iter().for_each(|answer| drop(answer.success()));
    }
    for (command, says) in [("fsck", "all records are consistent"), ("doctor", "consistent")] {
        let mut disturbed = network.clone();
        disturbed["ipam"]["etcdConfig"]["etcdURL"] = json!(compacting(&etcd));
        let output = operate(&[command], &disturbed);
        let (printed, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // The doctor warns of the version of the distribution's etcd.
        assert!(output.status.code() < Some(2) && printed.contains(says), "{command}: {printed}{warned}");
        let again = warned.matches("etcd compacted its history").count();
        assert!(again == 1 && warned.contains("reading again from the beginning"), "{command}: {printed}{warned}");
    }
}

/// A way to etcd that has it forget its history, once, when a page is on its way: the next one is of that history.
fn compacting(etcd: &Arc<Etcd>) -> String {
    let way = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", way.local_addr().unwrap());
    let (etcd, is_due) = (etcd.clone(), Arc::new(AtomicBool::new(true)));
    thread::spawn(move || {
        for client in way.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(etcd.endpoints()[0].trim_start_matches("http://")).unwrap();
            let (mut asked, mut asking) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut asked, &mut asking).and_then(|_| asking.shutdown(Shutdown::Write)));
            let (etcd, is_due) = (etcd.clone(), is_due.clone());
            thread::spawn(move || pass_on(server, client, &etcd, &is_due));
        }
    });
    url
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, etcd: &Etcd, is_due: &AtomicBool) {
    let (mut buffer, mut passed, mut is_history) = ([0; 16_384], 0, true);
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        // Metrics are no history: whoever asks for them by HTTP/1 is left alone.
        is_history &= passed > 0 || !buffer.starts_with(b"HTTP/1.");
        passed += length;
        if is_history && passed > AMID && is_due.swap(false, Ordering::SeqCst) {
            etcd.control(&["put", "/something", "else"]);
            etcd.control(&["compact", &revision(etcd).to_string()]);
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
