//! Container images of Ferry itself: controller and agent, made without a container engine.
//!
//! An image holds one program, stripped, and whatever libraries it is linked with: none for the static programs of a
//! release, the C library's for the programs that tests have at hand anyway, so that neither demo nor tests build the
//! workspace a second time. Nothing else is in it: no shell, no user database, no certificates. It runs as a user that
//! is not root, and needs no file system that can be written.
//!
//! Names and tags are the charts' defaults, so that what is loaded into a node is what they ask for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::UNIX_EPOCH,
};

use anyhow::{Context, Result, ensure};

use super::{
    cache,
    command::run,
    image::{self, Image},
    limits,
};

/// Ferry's version, the tag of its images.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Raised when the way these images are made changes.
const FORMAT: &[u8] = b"ferry 1";
/// The user and group of every container, as the charts have it.
const USER: &str = "65532:65532";

/// A program of Ferry that runs as a pod.
struct Shipped {
    program: &'static str,
    entrypoint: &'static str,
}

const SHIPPED: [Shipped; 2] = [
    Shipped { program: "ferry-controller", entrypoint: "/bin/ferry-controller" },
    Shipped { program: "ferry-agent", entrypoint: "/bin/ferry-agent" },
];

/// An archive of all images, made from the programs in `programs` as they are. It lies in `folder` under a name that
/// changes when they do; those of earlier programs are removed.
///
/// # Errors
/// A program is missing, or an image cannot be written.
pub fn images(programs: &Path, folder: &Path) -> Result<PathBuf> {
    let mut parts = vec![FORMAT.to_vec()];
    for shipped in &SHIPPED {
        let path = programs.join(shipped.program);
        let about = fs::metadata(&path)
            .with_context(|| format!("{} is not there: run `make build`", path.display()))?;
        let changed = about.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
        parts.push(path.into_os_string().into_encoded_bytes());
        parts.push(changed.to_le_bytes().to_vec());
        parts.push(about.len().to_le_bytes().to_vec());
    }
    let key = cache::key(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let archive = folder.join(format!("{key}.tar"));
    if archive.is_file() {
        return Ok(archive);
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for old in fs::read_dir(folder)?.flatten() {
        let _ = fs::remove_file(old.path());
    }
    let room = tempfile::tempdir_in(folder)?;
    let images = SHIPPED
        .iter()
        .map(|shipped| shipped.image(programs, room.path()).map(|(image, _)| image))
        .collect::<Result<Vec<_>>>()?;
    cache::atomically(&archive, |temporary| image::write(&images, temporary))?;
    Ok(archive)
}

/// An archive for each image, `<program>.tar` in `folder`, made from static programs in `programs`: what is shipped.
///
/// # Errors
/// A program is missing or not static, or an image cannot be written.
pub fn release_images(programs: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let room = tempfile::tempdir_in(folder)?;
    SHIPPED
        .iter()
        .map(|shipped| {
            let (image, libraries) = shipped.image(programs, room.path())?;
            ensure!(
                libraries.is_empty(),
                "{} is linked with {libraries:?}, expected a static program: build it as `make images` does",
                programs.join(shipped.program).display()
            );
            let archive = folder.join(format!("{}.tar", shipped.program));
            cache::atomically(&archive, |temporary| image::write(&[image], temporary))?;
            Ok(archive)
        })
        .collect()
}

impl Shipped {
    /// The image, with its stripped program in `room`; and the libraries that are in it.
    fn image(&self, programs: &Path, room: &Path) -> Result<(Image, Vec<PathBuf>)> {
        let (program, stripped) = (programs.join(self.program), room.join(self.program));
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(&stripped).arg(&program);
        run(strip, limits::PAUSE_BUILD).with_context(|| format!("cannot strip {}", program.display()))?;
        let libraries = libraries(&program)?;
        let mut files = vec![(inside(Path::new(self.entrypoint)), stripped)];
        files.extend(libraries.iter().map(|library| (inside(library), library.clone())));
        let image = Image {
            name: format!("ferry.dev/{}:{VERSION}", self.program),
            entrypoint: self.entrypoint,
            files,
            applets: false,
            user: USER,
        };
        Ok((image, libraries))
    }
}

/// The libraries that `program` is loaded with, its loader included; none if it is static.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("ldd does not run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(!text.contains("not found"), "{} misses libraries:\n{text}", program.display());
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

/// A path as an archive spells it.
fn inside(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches('/').to_owned()
}
