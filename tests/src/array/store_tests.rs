//! State and log under crashes and under two processes at a time.
//!
//! The other process is this test binary again, told by an environment variable to run [`contender`] only.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::super::model::AccessMode;
use super::super::rules::{self, Attach, CreateVolume};
use super::*;

const ROUNDS: usize = 150;
const DIR: &str = "ARRAY_CONTENDER_DIR";
const CLUSTER: &str = "ARRAY_CONTENDER_CLUSTER";

fn new_array() -> (tempfile::TempDir, Array) {
    let dir = tempfile::tempdir().unwrap();
    let array = Array::open(dir.path()).unwrap();
    for cluster in ["east", "west"] {
        let (seat, asked) = (Seat::new(cluster, "n1"), Asked::new(Op::RegisterNode, "", cluster));
        array.decide(asked, Outcome::Ok, |s| Ok(rules::register_node(s, &seat))).unwrap().unwrap();
    }
    let request = CreateVolume {
        name: "v".into(),
        handle: "v".into(),
        pv: Some("pv-1".into()),
        pvc: Some("default/data-etcd-0".into()),
        ..CreateVolume::default()
    };
    let asked = Asked::new(Op::CreateVolume, "", "east");
    array.decide(asked, Outcome::Ok, |s| rules::create(s, request)).unwrap().unwrap();
    (dir, array)
}

fn attach(array: &Array, cluster: &str) -> Result<String, Refusal> {
    let seat = Seat::new(cluster, "n1");
    let request = Attach {
        handle: "v".into(),
        node_id: seat.node_id(),
        cluster: cluster.into(),
        mode: AccessMode::SingleNodeWriter,
        readonly: false,
        token: format!("{cluster}-token"),
    };
    let asked = Asked::new(Op::Attach, "v", cluster).on(&seat);
    array.decide(asked, Outcome::Ok, |s| rules::attach(s, request, &[])).unwrap()
}

fn detach(array: &Array, cluster: &str) {
    let seat = Seat::new(cluster, "n1");
    let asked = Asked::new(Op::Detach, "v", cluster).on(&seat);
    let id = seat.node_id();
    array
        .decide(asked, Outcome::Ok, |s| rules::detach(s, "v", &id, cluster, &[], now_ms()))
        .unwrap()
        .unwrap();
}

#[test]
fn a_second_attach_is_logged_as_a_violation_with_all_that_is_known() {
    let (_dir, array) = new_array();
    attach(&array, "east").unwrap();
    attach(&array, "west").unwrap_err();
    let entries = array.log().poll().unwrap();
    let last = entries.last().unwrap();
    assert_eq!((last.op, last.outcome), (Op::Attach, Outcome::Refused));
    assert_eq!((last.cluster.as_str(), last.node.as_deref()), ("west", Some("n1")));
    assert_eq!((last.pv.as_deref(), last.pvc.as_deref()), (Some("pv-1"), Some("default/data-etcd-0")));
    assert!(last.violation.as_ref().unwrap().contains("attached to east/n1"), "{last:?}");
    assert_eq!(entries.iter().filter(|e| e.violation.is_some()).count(), 1);
    assert_eq!(array.state().unwrap().volumes["v"].attachment.as_ref().unwrap().seat.cluster, "east");
}

#[test]
fn a_rule_that_refuses_has_changed_nothing() {
    let (_dir, array) = new_array();
    let before = array.state().unwrap();
    let refused = array.decide(Asked::new(Op::DeleteVolume, "v", "east"), Outcome::Ok, |state| {
        state.volumes.clear();
        Err::<Granted<()>, _>(Refusal::UnknownVolume { handle: "v".into() })
    });
    assert!(refused.unwrap().is_err());
    assert_eq!(array.state().unwrap().volumes, before.volumes);
}

#[test]
fn a_log_cut_short_is_completed_by_the_next_decision() {
    let (dir, array) = new_array();
    attach(&array, "east").unwrap();
    let (log, state) = (dir.path().join("array.log"), dir.path().join("state.json"));
    let (whole, decided) = (fs::read(&log).unwrap(), fs::read(&state).unwrap());
    let last = whole.len() - whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() - 1;
    for cut in [1, last / 2, last - 1, last] {
        // Killed while appending the entry, and before.
        fs::write(&log, &whole[..whole.len() - cut]).unwrap();
        fs::write(&state, &decided).unwrap();
        attach(&array, "east").unwrap();
        let entries = array.log().poll().unwrap();
        assert_eq!(entries.len(), 5, "cut {cut}");
        assert_eq!((entries[3].outcome, entries[4].outcome), (Outcome::Ok, Outcome::Repeat), "cut {cut}");
    }
}

#[test]
fn a_reader_follows_whole_lines_and_sees_a_lost_one() {
    let (dir, array) = new_array();
    let mut log = array.log();
    assert_eq!(log.poll().unwrap().len(), 3);
    assert!(log.poll().unwrap().is_empty());
    attach(&array, "east").unwrap();
    detach(&array, "east");
    assert_eq!(log.poll().unwrap().iter().map(|e| e.seq).collect::<Vec<_>>(), [4, 5]);

    let path = dir.path().join("array.log");
    let text = fs::read_to_string(&path).unwrap();
    let lost: Vec<&str> = text.lines().filter(|l| !l.contains("\"seq\":2,")).collect();
    fs::write(&path, lost.join("\n") + "\n").unwrap();
    let gap = array.log().poll().unwrap_err();
    assert!(matches!(gap, super::super::log::LogError::Gap { after: 1, found: 3, .. }), "{gap}");
}

#[tokio::test]
async fn a_waiting_reader_is_woken_or_gives_up() {
    let (_dir, array) = new_array();
    let mut log = array.log();
    log.poll().unwrap();
    assert!(log.wait(Duration::from_millis(50)).await.unwrap().is_empty());
    let other = array.clone();
    let writer = tokio::task::spawn_blocking(move || attach(&other, "east"));
    let entries = log.wait(Duration::from_secs(10)).await.unwrap();
    writer.await.unwrap().unwrap();
    assert_eq!(entries[0].op, Op::Attach);
}

fn contend(dir: &Path, cluster: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["array::store::tests::contender", "--exact", "--nocapture"])
        .env(DIR, dir)
        .env(CLUSTER, cluster)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_for(path: &Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(30), "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The work of one of the contending processes; nothing without its environment.
#[test]
fn contender() {
    let (Ok(dir), Ok(cluster)) = (std::env::var(DIR), std::env::var(CLUSTER)) else { return };
    let array = Array::open(&dir).unwrap();
    fs::write(Path::new(&dir).join(format!("{cluster}.ready")), "").unwrap();
    wait_for(&Path::new(&dir).join("go"));
    for _ in 0..ROUNDS {
        if attach(&array, &cluster).is_ok() {
            // Held for a moment, so that the other one meets it.
            std::thread::sleep(Duration::from_micros(500));
            detach(&array, &cluster);
        }
    }
}

/// Replays the log: whoever attached must have found the volume free.
fn assert_one_holder(array: &Array) -> (usize, usize) {
    let (mut holder, mut granted, mut refused) = (None::<String>, 0, 0);
    for entry in array.log().poll().unwrap() {
        match (entry.op, entry.outcome) {
            (Op::Attach, Outcome::Ok) => {
                assert_eq!(holder, None, "{entry:?}");
                holder = Some(entry.cluster);
                granted += 1;
            }
            (Op::Detach, Outcome::Ok) => {
                assert_eq!(holder.as_deref(), Some(entry.cluster.as_str()));
                holder = None;
            }
            (Op::Attach, Outcome::Refused) => {
                assert!(holder.as_ref().is_some_and(|h| *h != entry.cluster), "{entry:?}");
                assert!(entry.violation.is_some());
                refused += 1;
            }
            _ => {}
        }
    }
    (granted, refused)
}

#[test]
fn two_processes_never_hold_the_volume_at_once() {
    let (dir, array) = new_array();
    let children = [contend(dir.path(), "east"), contend(dir.path(), "west")];
    ["east.ready", "west.ready"].iter().for_each(|name| wait_for(&dir.path().join(name)));
    fs::write(dir.path().join("go"), "").unwrap();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (granted, refused) = assert_one_holder(&array);
    assert_eq!(granted + refused, 2 * ROUNDS);
    assert!(granted > 0 && refused > 0, "{granted} granted, {refused} refused: no contention was seen");
}

#[test]
fn processes_killed_at_any_point_leave_a_whole_log_and_a_whole_state() {
    let (dir, array) = new_array();
    fs::write(dir.path().join("go"), "").unwrap();
    let mut survivor = contend(dir.path(), "east");
    for delay_ms in 0..20 {
        let mut victim = contend(dir.path(), "west");
        wait_for(&dir.path().join("west.ready"));
        fs::remove_file(dir.path().join("west.ready")).unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        victim.kill().unwrap();
        victim.wait().unwrap();
        // What the killed process held is let go in its name, as its cluster would.
        detach(&array, "west");
    }
    assert!(survivor.wait().unwrap().success());
    assert_one_holder(&array);
    let state = array.state().unwrap();
    assert_eq!(array.log().poll().unwrap().len() as u64, state.seq);
}
