//! The loop over the real core: commits before effects, crashes on a failed commit, recovers, and keeps its bounds.
//!
//! Journals here are in memory, because their failures must come at a chosen moment; real ones have tests of their
//! own. The loop runs on a thread, as it does in the controller.

use std::{
    io,
    path::PathBuf,
    sync::Mutex,
    thread::{self, JoinHandle},
};

use ferry_core::{Rejection, TokenHash, facts::Resync, input::Request, tokens::Subject};

use super::*;
use crate::journal::Contents;

/// What a test sees of a journal, and what it wants it to do.
#[derive(Default)]
struct Script {
    contents: Contents,
    audit: Vec<Vec<u8>>,
    batches: Vec<usize>,
    fail: bool,
    slow: Duration,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn with<T>(&self, look: impl FnOnce(&mut Script) -> T) -> T {
        look(&mut self.0.lock().expect("no panic holds it"))
    }
}

impl Journal for Scripted {
    fn load(&mut self) -> Result<Contents, journal::Error> {
        Ok(self.with(|script| script.contents.clone()))
    }

    fn audit(&mut self, before: Option<u64>, limit: usize) -> Result<Vec<journal::Numbered>, journal::Error> {
        let numbered = self.with(|script| (1..).zip(script.audit.clone()).collect::<Vec<_>>());
        let below =
            numbered.into_iter().rev().filter(|(number, _)| before.is_none_or(|before| *number < before));
        Ok(below.take(limit).collect())
    }

    fn append(&mut self, entries: &[Vec<u8>], audit: &[Vec<u8>]) -> Result<(), journal::Error> {
        thread::sleep(self.with(|script| script.slow));
        self.with(|script| {
            if script.fail {
                let source = io::ErrorKind::StorageFull.into();
                return Err(journal::Error::Full {
                    path: PathBuf::from("x"),
                    doing: "committing a batch",
                    source,
                });
            }
            script.batches.push(entries.len());
            script.contents.entries.extend_from_slice(entries);
            script.audit.extend_from_slice(audit);
            Ok(())
        })
    }

    fn snapshot(&mut self, state: &[u8]) -> Result<(), journal::Error> {
        self.with(|script| script.contents = Contents { snapshot: Some(state.to_vec()), entries: vec![] });
        Ok(())
    }
}

/// Bytes of entries after which a loop here makes a snapshot.
const SNAPSHOT_AFTER: u64 = 512 * 1024;

fn start(journal: &Scripted) -> (Handle, JoinHandle<Result<(), Error>>) {
    let recovered = recover(&mut journal.clone()).expect("recovered");
    let (mut event_loop, handle) = EventLoop::new(recovered, Box::new(journal.clone()));
    event_loop.min_bytes_between_snapshots = SNAPSHOT_AFTER;
    (handle, thread::spawn(move || event_loop.run()))
}

fn token(number: usize) -> Request {
    Request::CreateToken {
        hash: TokenHash(format!("{number:064x}")),
        subject: Subject::Cluster("east".into()),
        expires_at: clock::now().plus(60_000),
        by: String::new(),
    }
}

fn redeem(number: usize) -> Request {
    Request::RedeemToken { hash: TokenHash(format!("{number:064x}")) }
}

const SOON: Duration = Duration::from_secs(10);

async fn stopped(handle: Handle, running: JoinHandle<Result<(), Error>>) {
    handle.stop().await;
    running.join().expect("no panic").expect("clean end");
}

#[tokio::test]
async fn a_restart_recovers_what_was_answered() {
    let journal = Scripted::default();
    let (handle, running) = start(&journal);
    assert_eq!(handle.ask(token(1), SOON).await, Ok(Reply::TokenCreated));
    stopped(handle, running).await;

    let (handle, running) = start(&journal);
    let redeemed = handle.ask(redeem(1), SOON).await;
    assert_eq!(redeemed, Ok(Reply::TokenRedeemed(Subject::Cluster("east".into()))));
    stopped(handle, running).await;

    let (handle, running) = start(&journal);
    let again = handle.ask(redeem(1), SOON).await;
    assert!(matches!(again, Ok(Reply::Rejected(Rejection::TokenUsed(_)))), "{again:?}");
    stopped(handle, running).await;
}

#[tokio::test]
async fn what_waits_during_a_commit_shares_the_next_one() {
    let journal = Scripted::default();
    journal.with(|script| script.slow = Duration::from_millis(50));
    let (handle, running) = start(&journal);
    let asked = (0..200).map(|number| handle.ask(token(number), SOON));
    for reply in futures::future::join_all(asked).await {
        assert_eq!(reply, Ok(Reply::TokenCreated));
    }
    let commits = journal.with(|script| script.batches.len());
    assert!(commits <= 20, "200 requests took {commits} commits");
    assert_eq!(handle.counters().read().1, commits as u64);
    stopped(handle, running).await;
}

#[tokio::test]
async fn nothing_of_a_failed_commit_gets_out() {
    let journal = Scripted::default();
    let (handle, running) = start(&journal);
    assert_eq!(handle.ask(token(1), SOON).await, Ok(Reply::TokenCreated));
    journal.with(|script| script.fail = true);
    assert_eq!(handle.ask(token(2), SOON).await, Err(AskError::Stopped));
    assert_eq!(handle.ask(token(3), SOON).await, Err(AskError::Stopped));
    let ended = running.join().expect("no panic").expect_err("the loop ends with the error");
    assert!(matches!(ended, Error::Journal(journal::Error::Full { .. })), "{ended}");

    journal.with(|script| script.fail = false);
    let (handle, running) = start(&journal);
    let lost = handle.ask(redeem(2), SOON).await;
    assert!(matches!(lost, Ok(Reply::Rejected(Rejection::TokenUnknown(_)))), "{lost:?}");
    stopped(handle, running).await;
}

#[tokio::test]
async fn an_agent_that_does_not_read_loses_its_stream() {
    let journal = Scripted::default();
    let (handle, running) = start(&journal);
    let (outbound, mut unread) = mpsc::channel(1);
    let (end, ended) = oneshot::channel();
    let (session, number) = oneshot::channel();
    let resync = Box::new(Resync { cluster_uid: "uid".into(), instance_id: "i".into(), ..Resync::default() });
    let attach = Attach { cluster: "east".into(), resync, outbound, end, session };
    handle.attach(attach).await.expect("the loop runs");
    assert_eq!(number.await, Ok(Session(1)));
    // The welcome fills the queue; the core's set of governed Services does not fit any more.
    assert_eq!(ended.await, Ok(End::Slow));
    assert!(matches!(unread.recv().await, Some(ToAgent::Attached { .. })));
    stopped(handle, running).await;
}

#[tokio::test]
async fn a_deadline_is_kept_and_the_request_happens_all_the_same() {
    let journal = Scripted::default();
    journal.with(|script| script.slow = Duration::from_millis(300));
    let (handle, running) = start(&journal);
    let deadline = Duration::from_millis(20);
    assert_eq!(handle.ask(token(1), deadline).await, Err(AskError::Deadline(deadline)));
    let redeemed = handle.ask(redeem(1), SOON).await;
    assert!(matches!(redeemed, Ok(Reply::TokenRedeemed(_))), "{redeemed:?}");
    stopped(handle, running).await;
}

#[tokio::test]
async fn an_expired_token_is_told_apart() {
    let journal = Scripted::default();
    let (handle, running) = start(&journal);
    let expires_at = clock::now().plus(50);
    let hash = TokenHash("0".repeat(64));
    let ask = Request::CreateToken {
        hash: hash.clone(),
        subject: Subject::Cluster("east".into()),
        expires_at,
        by: String::new(),
    };
    assert_eq!(handle.ask(ask, SOON).await, Ok(Reply::TokenCreated));
    tokio::time::sleep(clock::until(expires_at) + Duration::from_millis(1)).await;
    let reply = handle.ask(Request::RedeemToken { hash }, SOON).await.expect("a reply");
    let Reply::Rejected(rejection @ Rejection::TokenExpired(_)) = reply else { panic!("{reply:?}") };
    let status = tonic::Status::from(crate::status::Failure::from(rejection));
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    assert!(status.message().contains("expired"), "{status}");
    stopped(handle, running).await;
}

/// Makes tokens that expire at once, so that entries pile up and the state does not.
async fn churn(handle: &Handle, round: usize) {
    for part in 0..5 {
        let requests = (0..100).map(|of| {
            let hash = TokenHash(format!("{:0>64}", (round * 5 + part) * 100 + of));
            let expires_at = clock::now().plus(1);
            handle.ask(
                Request::CreateToken {
                    hash,
                    subject: Subject::Cluster("east".into()),
                    expires_at,
                    by: String::new(),
                },
                SOON,
            )
        });
        for reply in futures::future::join_all(requests).await {
            assert_eq!(reply, Ok(Reply::TokenCreated));
        }
    }
}

#[tokio::test]
async fn a_snapshot_comes_in_time_also_over_restarts() {
    let journal = Scripted::default();
    let bound = usize::try_from(SNAPSHOT_AFTER).expect("small") + 256 * 1024;
    let (mut snapshots, mut before) = (0, 0);
    for round in 0.. {
        let (handle, running) = start(&journal);
        churn(&handle, round).await;
        stopped(handle, running).await;
        let entries = journal.with(|script| script.contents.entries.iter().map(Vec::len).sum::<usize>());
        assert!(entries <= bound, "{entries} bytes of entries");
        snapshots += usize::from(entries < before);
        before = entries;
        if snapshots == 2 {
            break;
        }
        assert!(round < 200, "no second snapshot after {round} restarts");
    }
    let state = |journal: &Scripted| {
        let recovered = recover(&mut journal.clone()).expect("recovered");
        serde_json::to_vec(recovered.core.state()).expect("JSON")
    };
    assert_eq!(state(&journal), state(&journal));
}

fn query(limit: usize, before: Option<u64>) -> AuditQuery {
    AuditQuery { limit, before, migration: None }
}

#[tokio::test]
async fn what_changes_something_is_recorded_with_its_answer() {
    let journal = Scripted::default();
    let (handle, running) = start(&journal);
    for number in 1..=3 {
        assert_eq!(handle.ask(token(number), SOON).await, Ok(Reply::TokenCreated));
    }
    let pause = Request::PauseMigration { id: "etcd-9".into(), by: "alice".into() };
    assert!(matches!(handle.ask(pause, SOON).await, Ok(Reply::Rejected(_))));
    assert!(matches!(handle.ask(redeem(9), SOON).await, Ok(Reply::Rejected(_))), "nobody's, so not recorded");
    assert!(matches!(handle.ask(Request::ListClusters, SOON).await, Ok(Reply::Clusters(_))), "a read");
    let page = handle.audit(query(3, None), SOON).await.expect("answered").expect("read");
    let said: Vec<_> =
        page.records.iter().map(|(number, of)| (*number, of.action.as_str(), of.result == "done")).collect();
    assert_eq!(said, [(4, "pause-migration", false), (3, "create-token", true), (2, "create-token", true)]);
    let rest = handle.audit(query(3, page.next_before), SOON).await.expect("answered").expect("read");
    assert_eq!((rest.records.len(), rest.next_before), (1, None));
    assert_eq!(rest.records[0].1.subject, "cluster/east");
    let migration = Some("etcd-9".into());
    let of_one = AuditQuery { migration, ..query(10, None) };
    let of_one = handle.audit(of_one, SOON).await.expect("answered").expect("read");
    assert_eq!((of_one.records.len(), of_one.records[0].1.by.as_str()), (1, "alice"));
    stopped(handle, running).await;
}

#[tokio::test]
async fn a_copy_is_what_a_restart_would_recover() {
    let journal = Scripted::default();
    let (handle, running) = start(&journal);
    assert_eq!(handle.ask(token(1), SOON).await, Ok(Reply::TokenCreated));
    let copy = handle.copy(SOON).await.expect("answered").expect("made");
    stopped(handle, running).await;
    let recovered = recover(&mut journal.clone()).expect("recovered");
    assert_eq!(copy.state, serde_json::to_vec(recovered.core.state()).expect("JSON"));
    assert_eq!((copy.generation, copy.audit.len()), (1, 1));
}

#[test]
fn what_cannot_be_understood_is_not_skipped() {
    let journal = Scripted::default();
    journal.with(|script| script.contents.entries = vec![br#"{"from-the-future":{}}"#.to_vec()]);
    let error = recover(&mut journal.clone()).expect_err("an entry of another version");
    assert!(matches!(error, RecoveryError::Entry { index: 0, .. }), "{error}");
    journal.with(|script| script.contents = Contents { snapshot: Some(b"{}x".to_vec()), entries: vec![] });
    let error = recover(&mut journal.clone()).expect_err("a snapshot of another version");
    assert!(matches!(error, RecoveryError::Snapshot(_)), "{error}");
}
