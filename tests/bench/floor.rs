//! What the protocol costs when nothing is decided: connect to etcd, read a range, commit a transaction, leave. The
//! same client library, profile and target as the program it stands beside.
#![allow(clippy::unwrap_used, clippy::exit, reason = "a program to be measured")]

use std::time::SystemTime;

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, Error, GetOptions, Identity, TlsOptions, Txn, TxnOp,
};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(requests()).unwrap();
    std::process::exit(0);
}

async fn requests() -> Result<(), Error> {
    let url = std::env::var("FLOOR_URL").unwrap();
    let mut client = Client::connect([url], Some(options())).await?;
    client.get("/floor/", Some(GetOptions::new().with_prefix().with_keys_only().with_limit(100))).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let key = format!("/floor/{}", now % 100);
    let revision = Compare::version(key.as_str(), CompareOp::NotEqual, i64::MAX);
    client.txn(Txn::new().when([revision]).and_then([TxnOp::put(key, "x", None)])).await?;
    Ok(())
}

fn options() -> ConnectOptions {
    let read = |name| std::env::var_os(name).map(|path| std::fs::read(path).unwrap());
    let (Some(ca), Some(cert), Some(key)) = (read("FLOOR_CA"), read("FLOOR_CERT"), read("FLOOR_KEY")) else {
        return ConnectOptions::new();
    };
    let identity = Identity::from_pem(cert, key);
    ConnectOptions::new().with_tls(TlsOptions::new().ca_certificate(Certificate::from_pem(ca)).identity(identity))
}
