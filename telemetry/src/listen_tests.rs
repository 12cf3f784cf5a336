//! The listener as a scraper, a probe and a stranger see it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

struct Program(Result<(), &'static str>);

impl Watched for Program {
    async fn ready(&self) -> Result<(), String> {
        self.0.map_err(str::to_owned)
    }

    async fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }
}

async fn start(program: Program) -> SocketAddr {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("bound");
    let address = listener.address;
    tokio::spawn(listener.serve(Arc::new(program)));
    address
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

async fn get(address: SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: ferry\r\n\r\n")).await
}

#[tokio::test]
async fn each_path_answers_and_others_say_which_there_are() {
    let address = start(Program(Ok(()))).await;
    let metrics = get(address, "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("openmetrics-text"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    for path in ["/healthz", "/readyz"] {
        assert!(get(address, path).await.ends_with("\r\n\r\nok\n"));
    }
    let stranger = get(address, "/").await;
    assert!(stranger.starts_with("HTTP/1.1 404") && stranger.contains("/readyz"), "{stranger}");
    let post = ask(address, "POST /metrics HTTP/1.1\r\nHost: ferry\r\nContent-Length: 0\r\n\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
}

#[tokio::test]
async fn one_that_is_not_ready_says_why_and_is_alive() {
    let address = start(Program(Err("not attached to the controller"))).await;
    let ready = get(address, "/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.ends_with("not attached to the controller\n"),
        "{ready}"
    );
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_to_do() {
    let address = start(Program(Ok(()))).await;
    let error = Listener::bind(address).await.expect_err("taken").to_string();
    assert!(error.contains(&address.to_string()) && error.contains("--metrics-listen"), "{error}");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_and_the_next_answered() {
    let address = start(Program(Ok(()))).await;
    let flood = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(2 * limits::REQUEST_HEAD_BYTES));
    let mut stream = TcpStream::connect(address).await.expect("connected");
    // The peer may close before it has read all: then the write fails, which is what is wanted.
    let _closed = stream.write_all(flood.as_bytes()).await;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
}
