//! Upstream's csi-sanity, whole, against the test CSI driver.
//!
//! The program is given by `FERRY_CSI_SANITY`, or comes from the build cache of the test clusters. It runs with the
//! driver in a mount namespace of its own, so that nothing it leaves mounted outlives the test. What it skips, it
//! skips because the driver does not offer that capability; the numbers are printed, and pinned: a capability that
//! silently goes away would otherwise look like success.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ferry_tests::array::Array;
use ferry_tests::build::{self, KubernetesRelease};

/// Specs of csi-sanity 5.6.0 that apply to the driver's capabilities, of 103.
const PASSED: u32 = 59;

/// Runs in the namespace: the driver in the background, csi-sanity, the end of the driver.
const SCRIPT: &str = r#"
driver="$1" sanity="$2" dir="$3"
"$driver" all --array "$dir/array" --cluster east --endpoint "unix://$dir/csi.sock" &
pid=$!
"$sanity" -csi.endpoint "unix://$dir/csi.sock" -csi.mountdir "$dir/mount" -csi.stagingdir "$dir/staging" \
    -csi.testvolumesize 268435456 -csi.testvolumeexpandsize 536870912 -csi.testnodevolumeattachlimit \
    -ginkgo.no-color
verdict=$?
kill "$pid" && wait "$pid"
exit "$verdict"
"#;

fn csi_sanity() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("FERRY_CSI_SANITY") {
        return Ok(PathBuf::from(path));
    }
    let tools = build::ensure(&KubernetesRelease(build::DEFAULT_KUBERNETES.to_owned()))?;
    Ok(tools.program("csi-sanity")?.to_owned())
}

fn count(line: &str, what: &str) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).find(|pair| pair[1] == what).and_then(|pair| pair[0].parse().ok())
}

fn run(sanity: &Path, dir: &Path) -> Result<String> {
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"])
        .arg(env!("CARGO_BIN_EXE_test-csi"))
        .args([sanity, dir])
        .env("RUST_LOG", "warn")
        .output()
        .context("cannot run unshare")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

#[test]
fn csi_sanity_passes_whole() -> Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "this test mounts file systems: run it as root");
    let dir = tempfile::tempdir()?;
    let text = run(&csi_sanity()?, dir.path())?;
    let verdict =
        text.lines().find(|l| l.contains(" Passed | ")).with_context(|| format!("no verdict:\n{text}"))?;
    println!("csi-sanity: {verdict}");
    assert_eq!(count(verdict, "Failed"), Some(0), "{text}");
    assert_eq!(count(verdict, "Passed"), Some(PASSED), "{text}");

    let array = Array::at(dir.path().join("array"));
    let entries = array.log().poll()?;
    ensure!(entries.iter().all(|e| e.violation.is_none()), "a conforming client caused a violation");
    assert_eq!(array.state()?.volumes.len(), 0, "volumes are left");
    assert_eq!(fs::read_dir(dir.path().join("array/images"))?.count(), 0, "images are left");
    Ok(())
}
