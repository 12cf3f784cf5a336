//! The finished set: every program and image by name, built if it was missing.
//!
//! [`ensure`] is called at the beginning of each test program, so the warm path must cost next to nothing: it
//! reads the module files, asks for the compiler's version and looks whether the files are there. Only a miss
//! takes the lock of the cache and builds, one program after another, in the order of the catalog.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result};

use super::{
    cache, catalog, catalog::KubernetesRelease, command::run, debian, golang, golang::Source, image, limits,
};

/// The module of kwok holds the stages that make its nodes and pods come alive; without them it refuses to run.
const KWOK_MODULE: &str = "sigs.k8s.io/kwok";
const KWOK_STAGES: &[&str] = &[
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
];
const PAUSE_SOURCE: &str = "build/pause/linux/pause.c";

/// Paths of everything that a world runs. Serialized into the world's state, since a process inside must find
/// what was built outside.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Tools {
    /// By name, those of Kubernetes at the first release that was asked for.
    programs: BTreeMap<String, PathBuf>,
    /// Kubernetes' own by release, all that were asked for.
    kubernetes: BTreeMap<KubernetesRelease, BTreeMap<String, PathBuf>>,
    /// The archive that each node imports: the images of [`super::image`].
    pub images: PathBuf,
    /// The stages that kwok is started with.
    pub kwok_stages: PathBuf,
    /// A program that reaps and waits: the sandbox's only process, and the first process of each node.
    pub pause: PathBuf,
}

impl Tools {
    /// The path of a program such as `kubelet` or `csi-sanity`; of Kubernetes, at the first release that was asked
    /// for.
    pub fn program(&self, name: &str) -> Result<&Path> {
        found(&self.programs, name)
    }

    /// The path of one of Kubernetes' own programs at `release`.
    pub fn kubernetes_program(&self, release: &KubernetesRelease, name: &str) -> Result<&Path> {
        let programs = self.kubernetes.get(release).with_context(|| {
            let known: Vec<&str> = self.kubernetes.keys().map(|release| release.0.as_str()).collect();
            format!("Kubernetes {} was not asked for: there is {}", release.0, known.join(", "))
        })?;
        found(programs, name)
    }

    /// The folders to put on `PATH` so that `kubectl`, `etcdctl`, `ctr` and the others are found.
    pub fn search_path(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> =
            self.programs.values().filter_map(|path| path.parent().map(Path::to_path_buf)).collect();
        folders.sort();
        folders.dedup();
        folders
    }
}

fn found<'a>(programs: &'a BTreeMap<String, PathBuf>, name: &str) -> Result<&'a Path> {
    programs.get(name).map(PathBuf::as_path).with_context(|| {
        let known: Vec<&str> = programs.keys().map(String::as_str).collect();
        format!("no program {name} is built here: there are {}", known.join(", "))
    })
}

/// Builds what is missing, one program after another, with a line for each; returns at once when nothing is.
pub fn ensure(kubernetes: &KubernetesRelease) -> Result<Tools> {
    ensure_releases(std::slice::from_ref(kubernetes))
}

/// As [`ensure`], for worlds whose clusters run different releases of Kubernetes. The first is the one of what is
/// asked for without a release.
pub fn ensure_releases(kubernetes: &[KubernetesRelease]) -> Result<Tools> {
    debian::ensure()?;
    let cache = cache::root()?;
    let compiler = golang::compiler()?;
    let sources = catalog::groups(kubernetes)
        .into_iter()
        .map(|group| Source::read(group, &cache, &compiler))
        .collect::<Result<Vec<_>>>()?;
    let paths = |source: &Source| {
        let folder = source.folder().to_owned();
        source.programs().iter().map(move |program| (program.name.to_owned(), folder.join(program.name)))
    };
    let programs = sources.iter().rev().flat_map(paths).collect();
    let of_kubernetes = sources
        .iter()
        .filter_map(|source| Some((source.release()?.clone(), paths(source).collect())))
        .collect();
    let of = |name: &str| {
        sources
            .iter()
            .find(|source| source.programs().iter().any(|program| program.name == name))
            .context("no group")
    };
    let (kube, kwok, etcd) = (of("kubelet")?, of("kwok")?, of("etcd")?);
    let mut tools = Tools {
        programs,
        kubernetes: of_kubernetes,
        images: PathBuf::new(),
        kwok_stages: kwok.folder().join("stages.yaml"),
        pause: kube.folder().join("pause"),
    };
    let contents = image::contents(&tools, etcd.folder())?;
    tools.images = cache.join("images").join(format!("{}.tar", contents.key()));

    if tools
        .programs
        .values()
        .chain(tools.kubernetes.values().flat_map(BTreeMap::values))
        .chain([&tools.images, &tools.kwok_stages, &tools.pause])
        .all(|path| path.is_file())
    {
        return Ok(tools);
    }
    let _lock = cache::lock(&cache)?;
    build_programs(&sources)?;
    if !tools.pause.is_file() {
        build_pause(&kube.module_files("k8s.io/kubernetes")?.join(PAUSE_SOURCE), &tools.pause)?;
    }
    if !tools.kwok_stages.is_file() {
        join_stages(&kwok.module_files(KWOK_MODULE)?, &tools.kwok_stages)?;
    }
    if !tools.images.is_file() {
        eprintln!("build: images");
        cache::atomically(&tools.images, |temporary| contents.write(temporary))?;
    }
    Ok(tools)
}

fn build_programs(sources: &[Source]) -> Result<()> {
    let all: Vec<_> =
        sources.iter().flat_map(|source| source.programs().iter().map(move |p| (source, p))).collect();
    let begun = Instant::now();
    for (index, (source, program)) in all.iter().enumerate() {
        if source.folder().join(program.name).is_file() {
            continue;
        }
        eprintln!("build: {}/{} {} ({})", index + 1, all.len(), program.name, source.name());
        let started = Instant::now();
        source.build(program)?;
        let (this, whole) = (started.elapsed().as_secs(), begun.elapsed().as_secs());
        eprintln!("build: {}/{} {} took {this} s, {whole} s in all", index + 1, all.len(), program.name);
    }
    Ok(())
}

fn build_pause(source: &Path, target: &Path) -> Result<()> {
    cache::atomically(target, |temporary| {
        let mut command = Command::new("gcc");
        command.args(["-Os", "-static", "-DVERSION=ferry", "-o"]).arg(temporary).arg(source);
        run(command, limits::PAUSE_BUILD).context("cannot compile pause")?;
        Ok(())
    })
}

fn join_stages(module: &Path, target: &Path) -> Result<()> {
    let documents = KWOK_STAGES
        .iter()
        .map(|stage| {
            let path = module.join(stage);
            fs::read_to_string(&path).with_context(|| format!("cannot read the stage {}", path.display()))
        })
        .collect::<Result<Vec<_>>>()?;
    cache::atomically(target, |temporary| Ok(fs::write(temporary, documents.join("\n---\n"))?))
}
