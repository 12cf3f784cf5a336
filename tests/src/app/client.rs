//! The client that writes all the while, as an application would: by each member's name, through each cluster's DNS.
//!
//! One write at a time, each a new key. A write that is not acknowledged is sent again to the next member through the
//! next DNS until one acknowledges it, so an acknowledged key was promised to somebody and must be found at the end.
//! The longest time between two acknowledgements is the outage that a client saw.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::etcd::{CLIENT_PORT, Etcd};

/// One attempt, name resolution included.
const ATTEMPT: Duration = Duration::from_millis(500);
/// Pause between two writes.
const PAUSE: Duration = Duration::from_millis(20);
/// A write that nobody acknowledges for this long ends the test.
const GIVE_UP: Duration = Duration::from_secs(60);
/// What every key begins with.
const PREFIX: &str = "crossing/";

/// A way to the members: their names and the DNS servers that resolve them.
#[derive(Clone)]
pub struct Client {
    hosts: Vec<String>,
    resolvers: Vec<TokioResolver>,
    http: reqwest::Client,
}

/// A writer at work.
pub struct Writer {
    stop: watch::Sender<bool>,
    task: JoinHandle<Written>,
}

/// What a writer was promised.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Keys that a member acknowledged.
    pub keys: Vec<String>,
    /// Longest time between two acknowledgements.
    pub longest_gap: Duration,
    /// Attempts that failed and were made again elsewhere.
    pub retries: u64,
    /// Why the last write was given up, if it was: nobody acknowledged it for a minute.
    pub gave_up: Option<String>,
}

impl Client {
    /// A client of `etcd` that asks the DNS servers in turn; each is the address and port of one cluster's DNS.
    ///
    /// # Errors
    /// A resolver or the HTTP client cannot be made.
    pub fn new(etcd: &Etcd, dns: &[SocketAddr]) -> Result<Self> {
        let resolvers = dns.iter().map(|server| resolver(*server)).collect::<Result<_>>()?;
        let http = reqwest::Client::builder().no_proxy().timeout(ATTEMPT).build()?;
        Ok(Self { hosts: etcd.ordinals().map(|ordinal| etcd.host(ordinal)).collect(), resolvers, http })
    }

    /// Starts to write.
    pub fn write(&self) -> Writer {
        let (stop, stopped) = watch::channel(false);
        Writer { stop, task: tokio::spawn(write(self.clone(), stopped)) }
    }

    /// The keys found now, by a linearizable read.
    ///
    /// # Errors
    /// No member answers within a minute.
    pub async fn keys(&self) -> Result<BTreeSet<String>> {
        let end = format!("{}0", PREFIX.trim_end_matches('/'));
        let body =
            json!({"key": STANDARD.encode(PREFIX), "range_end": STANDARD.encode(end), "keys_only": true});
        let began = Instant::now();
        for turn in 0.. {
            match self.call(turn, "range", &body).await {
                Ok(answer) => return decode(&answer),
                Err(failure) if began.elapsed() > GIVE_UP => return Err(failure.context("reading every key")),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        bail!("no turn is left")
    }

    /// The address of a member as one cluster's DNS gives it now.
    ///
    /// # Errors
    /// The name does not resolve to exactly one address.
    pub async fn resolve(&self, host: &str, dns: usize) -> Result<IpAddr> {
        let answer = self.resolvers[dns].lookup_ip(format!("{host}.")).await?;
        let addresses: Vec<IpAddr> = answer.iter().collect();
        ensure!(addresses.len() == 1, "{host} resolves to {addresses:?}, expected one address");
        Ok(addresses[0])
    }

    async fn call(&self, turn: usize, verb: &str, body: &Value) -> Result<Value> {
        let host = &self.hosts[turn % self.hosts.len()];
        let dns = (turn / self.hosts.len()) % self.resolvers.len();
        let address = tokio::time::timeout(ATTEMPT, self.resolve(host, dns)).await??;
        let url = format!("http://{}/v3/kv/{verb}", SocketAddr::new(address, CLIENT_PORT));
        let answer = self.http.post(url).json(body).send().await?.error_for_status()?;
        answer.json().await.context("the answer")
    }
}

impl Writer {
    /// Stops after the write in progress is acknowledged or given up.
    ///
    /// # Errors
    /// The writer's task panicked.
    pub async fn stop(self) -> Result<Written> {
        self.stop.send(true).ok();
        Ok(self.task.await?)
    }
}

fn resolver(server: SocketAddr) -> Result<TokioResolver> {
    let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut name_server.connections {
        connection.port = server.port();
    }
    let config = ResolverConfig::from_name_servers(vec![name_server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    // Each write asks anew: what a cache would hide is what is measured.
    builder.options_mut().cache_size = 0;
    builder.options_mut().attempts = 1;
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4Only;
    Ok(builder.build()?)
}

async fn write(client: Client, mut stopped: watch::Receiver<bool>) -> Written {
    let mut written = Written::default();
    let mut turn = 0;
    let mut last = Instant::now();
    loop {
        let key = format!("{PREFIX}{:08}", written.keys.len());
        let body = json!({"key": STANDARD.encode(&key), "value": STANDARD.encode(&key)});
        while let Err(failure) = client.call(turn, "put", &body).await {
            turn += 1;
            written.retries += 1;
            if last.elapsed() > GIVE_UP {
                written.gave_up = Some(format!("{key} was not acknowledged for {GIVE_UP:?}: {failure:#}"));
                written.longest_gap = written.longest_gap.max(last.elapsed());
                return written;
            }
            // A refused connection fails at once: without a breath the loop would spin.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        turn += 1;
        written.longest_gap = written.longest_gap.max(last.elapsed());
        last = Instant::now();
        written.keys.push(key);
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stopped.changed() => return written,
        }
    }
}

fn decode(answer: &Value) -> Result<BTreeSet<String>> {
    let pairs = answer.get("kvs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let keys = pairs.iter().map(|pair| {
        let key = pair.get("key").and_then(Value::as_str).context("a pair without key")?;
        Ok(String::from_utf8(STANDARD.decode(key)?)?)
    });
    keys.collect()
}
