//! `make mutants`: each fault of the table is planted, alone, and the layer of tests that catches it is named.
//!
//! Tests that catch nothing look like tests that pass. So the mistakes that a protocol like this invites (an epoch that
//! is not compared, a claim deleted before the proof of detach, UNKNOWN taken for success) are made on purpose, one at a
//! time, in a copy of the sources, and the layers are run from cheap to real until one fails. All have to pass on the
//! unplanted copy first. A fault that every layer lets through is a hole in the proof: the run fails.
//!
//! cargo-mutants, the well-kept tool for this, is not used: it makes generic mutants (a body replaced by a default, an
//! operator flipped), thousands of them, most of which break nothing that the protocol promises, while none of them
//! deletes before it looks or drops one test of a patch. It also knows one command for all tests, not layers by cost.
//!
//! `make mutants ARGS="fence tombstone"` plants those whose names have one of the words. It takes hours: the report of
//! sources that did not change is gone on from with `--continue`, for as long as `--minutes` says.

mod layers;
mod report;
mod table;
mod tree;
mod trial;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;

use layers::{LAYERS, Layer};
use report::{Line, Report};
use table::Mutant;
use tree::Tree;
use trial::{Bench, Ended};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Name under which the unplanted run's output is kept.
const BASELINE: &str = "unplanted";

#[derive(Parser)]
#[command(about = "Faults planted in the protocol, and the layer of tests that catches each")]
struct Arguments {
    /// Words: only mutants whose name has one of them are planted.
    words: Vec<String>,
    /// List the mutants and end.
    #[arg(long)]
    list: bool,
    /// List the layers and end.
    #[arg(long)]
    layers: bool,
    /// Go no further than this layer.
    #[arg(long)]
    through: Option<String>,
    /// Only this layer.
    #[arg(long)]
    only: Option<String>,
    /// Leave out what a report of the same sources says was killed.
    #[arg(long = "continue")]
    goes_on: bool,
    /// Begin no further mutant after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|failure| {
        eprintln!("mutants: {failure:#}");
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let root = Path::new(ROOT).canonicalize().context("the repository is not where it was built")?;
    let mutants = read(&root)?;
    if arguments.layers {
        list_layers(&root);
        return Ok(ExitCode::SUCCESS);
    }
    let has_word =
        |mutant: &&Mutant| arguments.words.iter().any(|word| mutant.name().contains(word.as_str()));
    let chosen: Vec<&Mutant> =
        mutants.iter().filter(|mutant| arguments.words.is_empty() || has_word(mutant)).collect();
    ensure!(
        !chosen.is_empty(),
        "no mutant has one of the words {:?} in its name: see --list",
        arguments.words
    );
    if arguments.list {
        for mutant in &chosen {
            println!("{}\n    {}\n    {}", mutant.name(), mutant.what, mutant.file);
        }
        println!("{} mutants", chosen.len());
        return Ok(ExitCode::SUCCESS);
    }
    let chosen_layers = layers_of(&arguments, &root)?;
    Campaign::begin(&root, &arguments)?.go(&chosen, &chosen_layers, &arguments).await
}

/// The whole table, if nothing is wrong with it.
fn read(root: &Path) -> Result<Vec<Mutant>> {
    let mut parts = Vec::new();
    let folder = root.join(table::TABLE);
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = format!("{}{}", table::TABLE, path.file_name().unwrap_or_default().to_string_lossy());
        parts.push((name, fs::read_to_string(&path)?));
    }
    parts.sort();
    let text_of = |file: &str| fs::read_to_string(root.join(file)).ok();
    let flaws = table::flaws(parts.iter().map(|(path, text)| (path.as_str(), text.as_str())), &text_of);
    if !flaws.is_empty() {
        let lines: Vec<String> =
            flaws.iter().map(|flaw| format!("{}:{}: {}", flaw.path, flaw.line, flaw.says)).collect();
        bail!("the table is not sound:\n{}", lines.join("\n"));
    }
    let read = parts.iter().map(|(path, text)| table::parse(path, text).unwrap_or_default());
    Ok(read.flatten().collect())
}

fn list_layers(root: &Path) {
    for layer in LAYERS {
        let there = if layer.is_there(root) { "" } else { " (not in the repository: passed over)" };
        println!("{:12}{}{there}", layer.name, layer.what);
        println!("{:12}cargo {}", "", layer.run.join(" "));
        let late = layer.endless.map_or("no kill".to_owned(), |why| format!("a kill: {why}"));
        println!(
            "{:12}sees {}; {} s at most, longer is {late}",
            "",
            layer.sees.join(" "),
            layer.bound.as_secs()
        );
    }
}

fn layers_of(arguments: &Arguments, root: &Path) -> Result<Vec<&'static Layer>> {
    for name in arguments.through.iter().chain(&arguments.only) {
        ensure!(LAYERS.iter().any(|layer| layer.name == name), "there is no layer {name}: see --layers");
    }
    let end = arguments.through.as_ref().and_then(|name| LAYERS.iter().position(|layer| layer.name == name));
    let up_to = LAYERS.iter().take(end.map_or(LAYERS.len(), |at| at + 1));
    let chosen = up_to.filter(|layer| arguments.only.as_ref().is_none_or(|name| layer.name == name));
    Ok(chosen.filter(|layer| layer.is_there(root)).collect())
}

/// A run over mutants.
struct Campaign {
    tree: Tree,
    build: PathBuf,
    logs: PathBuf,
    report: Report,
    place: PathBuf,
}

impl Campaign {
    fn begin(root: &Path, arguments: &Arguments) -> Result<Self> {
        let target = root.join("target/mutants");
        let logs = target.join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let (tree, sources) = Tree::copy(root, target.join("tree"))?;
        let place = target.join("report.json");
        let report = if arguments.goes_on {
            Report::of(&place, &sources)
        } else {
            Report { sources, ..Report::default() }
        };
        Ok(Self { tree, build: target.join("build"), logs, report, place })
    }

    async fn go(mut self, mutants: &[&Mutant], layers: &[&Layer], arguments: &Arguments) -> Result<ExitCode> {
        let is_due = |mutant: &&&Mutant| {
            !self.report.has_killed(mutant.name()) && layers.iter().any(|layer| layer.can_see(&mutant.file))
        };
        let mut due: Vec<&Mutant> = mutants.iter().filter(is_due).copied().collect();
        // What survived before may do so again: first those of which nothing is known.
        due.sort_by_key(|mutant| self.report.knows(mutant.name()));
        let until = arguments.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
        self.baseline(&due, layers).await?;
        let width = due.iter().map(|mutant| mutant.name().len()).max().unwrap_or_default();
        let (mut unbuildable, mut left) = (Vec::new(), 0);
        for mutant in due {
            if until.is_some_and(|until| Instant::now() >= until) {
                left += 1;
                continue;
            }
            match self.try_one(mutant, layers).await? {
                Ok(line) => {
                    println!("{}", line.row(width));
                    self.report.take(line);
                    self.report.write(&self.place)?;
                }
                Err(log) => {
                    println!("{:width$}  DOES NOT COMPILE: {}", mutant.name(), log.display());
                    unbuildable.push(mutant.name());
                }
            }
        }
        self.report.print();
        if left > 0 {
            println!("{left} mutants are left for another run: --continue");
        }
        ensure!(
            unbuildable.is_empty(),
            "mutants that do not compile prove nothing, repair them: {unbuildable:?}"
        );
        let is_clean = left == 0 && self.report.survived.is_empty();
        Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn bench(&self) -> Bench<'_> {
        Bench { tree: self.tree.root(), build: &self.build, logs: &self.logs }
    }

    /// Every layer that will be asked passes on the sources as they are.
    async fn baseline(&self, mutants: &[&Mutant], layers: &[&Layer]) -> Result<()> {
        for layer in layers.iter().filter(|layer| mutants.iter().any(|mutant| layer.can_see(&mutant.file))) {
            let begun = Instant::now();
            match self.bench().run(layer, BASELINE).await? {
                Ended::Passed => {}
                other => bail!(
                    "layer {} does not pass on sources without a fault: {other:?}. See {}, and make it pass first",
                    layer.name,
                    self.logs.display()
                ),
            }
            println!("unplanted: {} passes, {:.1} s", layer.name, begun.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Plants one, runs the layers until one fails, and takes it out again; the log if it does not compile.
    async fn try_one(&self, mutant: &Mutant, layers: &[&Layer]) -> Result<Result<Line, PathBuf>> {
        let begun = Instant::now();
        let sound = self.tree.read(&mutant.file)?;
        let planted = mutant.plant(&sound).map_err(|times| {
            anyhow::anyhow!("{}: its text occurs {times} times in {}", mutant.name(), mutant.file)
        })?;
        self.tree.write(&mutant.file, &planted)?;
        let ended = self.kill(mutant, layers).await;
        self.tree.write(&mutant.file, &sound)?;
        let mut line = Line {
            id: mutant.name().to_owned(),
            what: mutant.what.clone(),
            file: mutant.file.clone(),
            ..Line::default()
        };
        match ended? {
            Err(log) => return Ok(Err(log)),
            Ok(None) => {}
            Ok(Some((layer, test))) => {
                (line.killed_by, line.test) = (Some(layer.name.to_owned()), Some(test))
            }
        }
        line.seconds = begun.elapsed().as_secs_f64();
        Ok(Ok(line))
    }

    /// The layer that sees the planted fault, and by which test.
    async fn kill<'l>(
        &self,
        mutant: &Mutant,
        layers: &[&'l Layer],
    ) -> Result<Result<Option<(&'l Layer, String)>, PathBuf>> {
        for layer in layers.iter().filter(|layer| layer.can_see(&mutant.file)) {
            match (self.bench().run(layer, mutant.name()).await?, layer.endless) {
                (Ended::Passed, _) => {}
                (Ended::Failed(test), _) => return Ok(Ok(Some((layer, test)))),
                (Ended::Endless, Some(why)) => return Ok(Ok(Some((layer, why.to_owned())))),
                (Ended::Endless, None) => {
                    println!("{}: layer {} passed its bound, which is no kill", mutant.name(), layer.name);
                }
                (Ended::Unbuildable(log), _) => return Ok(Err(log)),
            }
        }
        Ok(Ok(None))
    }
}
