use super::{RunId, start_time};

#[test]
fn a_name_reads_back_and_knows_whether_its_owner_lives() {
    let this = RunId::of_this_process().unwrap();
    assert_eq!(RunId::parse(&this.to_string()), Some(this.clone()));
    assert!(this.is_alive());
    let earlier = RunId { start: this.start - 1, ..this };
    assert!(!earlier.is_alive(), "another process had this number before");
    assert_eq!(RunId::parse("lost+found"), None);
}

#[test]
fn a_process_that_waits_to_be_reaped_counts_as_gone() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while start_time(pid).is_some() {
        assert!(std::time::Instant::now() < deadline, "the child never ended");
        std::thread::yield_now();
    }
    child.wait().unwrap();
}
