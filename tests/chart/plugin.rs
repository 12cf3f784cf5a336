//! The manifest by which krew installs `kubectl ferry`.
//!
//! Krew itself is not here; what it asks of a manifest is asked of this one, field by field, and then done: an archive
//! is made and unpacked, the named program linked as krew links it, and the stock kubectl calls the plugin. The address
//! and the digests in the repository are of a release that is still to be cut; `make krew` fills in the digest.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ferry_tests::build::VERSION;
use ferry_tests::ferry::program;
use ferry_tests::world::World;
use serde_json::Value;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/krew/ferry.yaml");
/// Bytes of a short description: krew's index prints it in one line of a table.
const SHORT: usize = 50;

/// The manifest is well formed, and what it installs answers to `kubectl ferry`.
pub(crate) async fn installs(world: &World) -> Result<()> {
    let text = std::fs::read_to_string(MANIFEST).context("the manifest")?;
    let manifest: Value = serde_saphyr::from_str(&text).context("the manifest is no YAML")?;
    well_formed(&manifest)?;
    let platforms = manifest["spec"]["platforms"].as_array().context("no platforms")?;
    let platform = platforms.iter().find(|platform| platform["selector"]["matchLabels"]["os"] == "linux");
    let platform = platform.context("no platform linux")?;
    let bin = platform["bin"].as_str().unwrap_or_default();

    let room = tempfile::tempdir()?;
    let (store, path) = (room.path().join("store"), room.path().join("bin"));
    std::fs::create_dir_all(&store)?;
    std::fs::create_dir_all(&path)?;
    let archive = room.path().join("ferry.tar");
    pack(&program("ferry")?, &archive)?;
    tar::Archive::new(std::fs::File::open(&archive)?).unpack(&store)?;
    symlink(store.join(bin), path.join("kubectl-ferry"))?;

    let kubectl = world.tools().program("kubectl")?;
    let listed = call(kubectl, &path, &["plugin", "list"])?;
    ensure!(listed.contains("kubectl-ferry"), "kubectl does not find the plugin: {listed}");
    let said = call(kubectl, &path, &["ferry", "version", "--client"])?;
    ensure!(said.contains(VERSION), "`kubectl ferry version --client` said {said:?}, expected {VERSION}");
    Ok(())
}

fn well_formed(manifest: &Value) -> Result<()> {
    let text = |at: &str| manifest.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    ensure!(text("/apiVersion") == "krew.googlecontainertools.github.com/v1alpha2", "apiVersion");
    ensure!(text("/kind") == "Plugin", "kind");
    ensure!(text("/metadata/name") == "ferry", "the name must be the file's, and what stands after kubectl");
    ensure!(text("/spec/version") == format!("v{VERSION}"), "the version must be v{VERSION}");
    let short = text("/spec/shortDescription");
    ensure!(
        !short.is_empty() && short.len() <= SHORT && !short.contains('\n'),
        "shortDescription: {short:?}"
    );
    ensure!(text("/spec/homepage").starts_with("https://"), "homepage");
    ensure!(text("/spec/description").lines().count() > 1, "description");
    let platforms = manifest["spec"]["platforms"].as_array().context("no platforms")?;
    ensure!(!platforms.is_empty(), "no platforms");
    for platform in platforms {
        let text = |at: &str| platform.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let digest = text("/sha256");
        ensure!(
            digest.len() == 64 && digest.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
            "sha256: {digest}"
        );
        ensure!(
            text("/uri").starts_with("https://") && text("/uri").contains(VERSION),
            "uri: {}",
            text("/uri")
        );
        ensure!(!text("/selector/matchLabels/arch").is_empty(), "a platform without arch");
        let bin = Path::new(text("/bin"));
        ensure!(
            bin.is_relative() && bin.file_name().is_some() && !bin.starts_with(".."),
            "bin: {}",
            bin.display()
        );
    }
    Ok(())
}

/// The archive of a release: the program and the licence.
fn pack(program: &Path, archive: &Path) -> Result<()> {
    let mut builder = tar::Builder::new(std::fs::File::create(archive)?);
    builder.append_path_with_name(program, "ferry")?;
    builder.append_path_with_name(concat!(env!("CARGO_MANIFEST_DIR"), "/../LICENSE"), "LICENSE")?;
    Ok(builder.finish()?)
}

fn call(kubectl: &Path, path: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(kubectl).args(arguments).env("PATH", path).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "kubectl {}: {}\n{said}{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}
