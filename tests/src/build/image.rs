//! Container images of one layer each, made from programs: nothing is pulled, so the nodes need no registry, and
//! what a test runs is what this repository pins.
//!
//! An archive is an OCI image layout in a tar file and may hold several images, because a node then imports them by
//! one command. The tags are never `latest`: for that tag the kubelet would ask a registry each time.
//!
//! The images of the test world are named here; those of Ferry itself in [`super::ferry`].

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::{cache, command::run, limits, tools::Tools};

/// The sandbox image: one program that reaps and waits.
pub const PAUSE_IMAGE: &str = "ferry.test/pause:1";
/// `etcd`, `etcdctl` and busybox, all in `/bin`.
pub const ETCD_IMAGE: &str = "ferry.test/etcd:1";
/// busybox with its applets in `/bin`. Its `wget` and `nslookup` cannot resolve names: it is linked statically.
pub const TOOL_IMAGE: &str = "ferry.test/tool:1";

/// Raised when the way images are written changes, so that archives in the cache are written anew.
const FORMAT: &[u8] = b"images 2";
const BUSYBOX: &str = "/bin/busybox";
const EXECUTABLE: u32 = 0o755;
/// A folder that every user may write, as `/tmp` is.
const OPEN: u32 = 0o1777;

/// What the archive will hold.
pub(super) struct Contents {
    images: Vec<Image>,
    key: String,
}

/// One image.
pub(super) struct Image {
    /// Its full name with its tag.
    pub(super) name: String,
    /// The program that a container runs, an absolute path in the image.
    pub(super) entrypoint: &'static str,
    /// Path inside the image, without the leading slash, and the file on this machine; all are executable.
    pub(super) files: Vec<(String, PathBuf)>,
    /// Whether busybox is called by the names of its applets too.
    pub(super) applets: bool,
    /// User and group that a container runs as unless its pod says otherwise; empty for root.
    pub(super) user: &'static str,
}

/// The images made from `tools` and from the etcd that lies in `etcd`.
pub(super) fn contents(tools: &Tools, etcd: &Path) -> Result<Contents> {
    let image = |name: &str, entrypoint, files: &[(&str, PathBuf)], applets| Image {
        name: name.to_owned(),
        entrypoint,
        files: files.iter().map(|(inside, here)| ((*inside).to_owned(), here.clone())).collect(),
        applets,
        user: "",
    };
    let busybox = ("bin/busybox", PathBuf::from(BUSYBOX));
    let etcd = [("bin/etcd", etcd.join("etcd")), ("bin/etcdctl", etcd.join("etcdctl")), busybox.clone()];
    let images = vec![
        image(PAUSE_IMAGE, "/pause", &[("pause", tools.pause.clone())], false),
        image(ETCD_IMAGE, "/bin/etcd", &etcd, true),
        image(TOOL_IMAGE, "/bin/sh", &[busybox], true),
    ];
    let busybox =
        fs::read(BUSYBOX).with_context(|| format!("cannot read {BUSYBOX} of package busybox-static"))?;
    let mut parts: Vec<Vec<u8>> = vec![FORMAT.to_vec(), busybox];
    for image in &images {
        parts.push(image.name.as_bytes().to_vec());
        // A program's folder is named after its contents' origin, so its path stands for its contents.
        parts.extend(image.files.iter().map(|(_, path)| path.as_os_str().as_encoded_bytes().to_vec()));
    }
    let key = cache::key(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    Ok(Contents { images, key })
}

impl Contents {
    /// A name for the archive that differs when its contents would.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Writes the archive to `path`.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        write(&self.images, path)
    }
}

/// Writes an archive of `images` to `path`.
pub(super) fn write(images: &[Image], path: &Path) -> Result<()> {
    let mut blobs = BTreeMap::new();
    let mut manifests = Vec::new();
    for image in images {
        manifests.push(image.blobs(&mut blobs).with_context(|| format!("cannot make {}", image.name))?);
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut archive = Builder::new(BufWriter::new(file));
    append(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
    append(&mut archive, "index.json", index.to_string().as_bytes(), 0o644)?;
    for (digest, blob) in &blobs {
        append(&mut archive, &format!("blobs/sha256/{digest}"), blob, 0o644)?;
    }
    archive.into_inner()?.flush()?;
    Ok(())
}

fn applets() -> Result<String> {
    let mut list = Command::new(BUSYBOX);
    list.arg("--list");
    run(list, limits::PAUSE_BUILD).context("busybox does not name its applets")
}

impl Image {
    /// Adds the image's layer, configuration and manifest to `blobs`; the result is its line in the index.
    fn blobs(&self, blobs: &mut BTreeMap<String, Vec<u8>>) -> Result<Value> {
        let mut put = |media_type: &str, bytes: Vec<u8>| {
            let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let descriptor =
                json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()});
            blobs.insert(digest, bytes);
            descriptor
        };
        let layer = put("application/vnd.oci.image.layer.v1.tar", self.layer()?);
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": [self.entrypoint],
                "Env": ["PATH=/bin"],
                "User": self.user,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        });
        let config = put("application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [layer],
        });
        let mut line = put("application/vnd.oci.image.manifest.v1+json", manifest.to_string().into_bytes());
        let tag = self.name.rsplit(':').next().unwrap_or_default();
        line["platform"] = json!({"architecture": architecture(), "os": "linux"});
        line["annotations"] =
            json!({"io.containerd.image.name": self.name, "org.opencontainers.image.ref.name": tag});
        Ok(line)
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        for (folder, mode) in [("bin/", EXECUTABLE), ("tmp/", OPEN)] {
            let mut header = header(0, mode, EntryType::Directory);
            archive.append_data(&mut header, folder, std::io::empty())?;
        }
        for (name, path) in &self.files {
            let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            append(&mut archive, name, &bytes, EXECUTABLE)?;
        }
        if self.applets {
            for applet in applets()?.lines().filter(|applet| *applet != "busybox") {
                let mut header = header(0, EXECUTABLE, EntryType::Symlink);
                archive.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
            }
        }
        Ok(archive.into_inner()?)
    }
}

/// The architecture's name as images spell it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn header(size: u64, mode: u32, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_entry_type(kind);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn append<W: Write>(archive: &mut Builder<W>, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let mut header = header(u64::try_from(bytes.len())?, mode, EntryType::Regular);
    archive.append_data(&mut header, name, bytes)?;
    Ok(())
}
