//! Battles from and to files: import and export.

use super::{check_name, no_good_line, recorded};
use crate::arena::battle::Battle;
use crate::arena::exchange;
use crate::arena::questions::Reject;
use crate::error::{Error, Kind, Result};
use crate::store::{NewRun, now};
use crate::tr;
use crate::workbench::Workbench;
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// What [`import`] did.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// The arena.
    pub arena: String,
    /// The run.
    pub run: String,
    /// Battles stored now.
    pub imported: usize,
    /// Battles that the arena held already.
    pub duplicates: usize,
    /// Stored battles that a reply gave away; they do not rate.
    pub flagged: usize,
    /// Lines that were not taken.
    pub rejects: Vec<Reject>,
}

/// Reads battle files into an arena, which is made if need be. Bad lines are reported and passed over; with `strict`
/// one is enough to import nothing. A battle that the arena held before is not stored twice, so the same file can be
/// imported again; equal lines within the files are so many battles.
///
/// # Errors
/// `InvalidInput` for an unusable name, files without one good line, or a bad line with `strict`.
pub fn import(bench: &Workbench, name: &str, paths: &[&Path], strict: bool) -> Result<Imported> {
    check_name(name)?;
    let (mut battles, mut rejects) = (Vec::new(), Vec::new());
    for path in paths {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
        // A missing time stays empty until duplicates are found: the time of import would make every line new.
        let (read, bad) = exchange::read(&path.display().to_string(), &bytes, "");
        if read.is_empty() {
            return Err(no_good_line(path, &bad));
        }
        battles.extend(read);
        rejects.extend(bad);
    }
    if let (true, Some(Reject { file, line, reason })) = (strict, rejects.first()) {
        let bad = rejects.len();
        return Err(Error::new(
            Kind::InvalidInput,
            tr!(
                "{bad} bad lines, the first: {file}, line {line}: {reason}",
                "{bad} 行有误，首处：{file} 第 {line} 行：{reason}"
            ),
        )
        .hint(tr!(
            "nothing was imported; without --strict the good lines are",
            "没有导入任何内容；去掉 --strict 会导入其余的行"
        )));
    }
    bench.store.create_arena(name)?;
    let files: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    let run = NewRun {
        kind: "arena",
        task: name.to_owned(),
        config: json!({"arena": name, "import": files}),
        ..NewRun::default()
    };
    recorded(bench, &run, |id| {
        let mut held: HashMap<Battle, Vec<String>> = HashMap::new();
        for battle in bench.store.battles(name)? {
            let tstamp = battle.tstamp.clone();
            held.entry(identity(battle)).or_default().push(tstamp);
        }
        let read = battles.len();
        let mut fresh = Vec::with_capacity(read);
        for battle in battles {
            let times = held.get_mut(&identity(battle.clone()));
            let known = times.and_then(|times| {
                let at = times.iter().position(|t| battle.tstamp.is_empty() || *t == battle.tstamp)?;
                Some(times.swap_remove(at))
            });
            if known.is_none() {
                let tstamp = if battle.tstamp.is_empty() { now() } else { battle.tstamp.clone() };
                fresh.push(Battle { run_id: id.to_owned(), tstamp, ..battle });
            }
        }
        bench.store.add_battles(name, &fresh)?;
        Ok(Imported {
            arena: name.to_owned(),
            run: id.to_owned(),
            imported: fresh.len(),
            duplicates: read - fresh.len(),
            flagged: fresh.iter().filter(|b| !b.flagged.is_empty()).count(),
            rejects,
        })
    })
}

/// A battle without what differs between two readings of one line.
fn identity(battle: Battle) -> Battle {
    Battle { id: 0, run_id: String::new(), tstamp: String::new(), flagged: String::new(), ..battle }
}

/// What [`export`] did.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    /// The arena.
    pub arena: String,
    /// Battles written.
    pub exported: usize,
    /// Battles without a vote: the format has no place for them.
    pub pending: usize,
}

/// Writes an arena's voted battles to `out`, one line each.
///
/// # Errors
/// `NotFound` without the arena; `Io` or `NoSpace` from the writer, which `place` names.
pub fn export(bench: &Workbench, name: &str, out: &mut dyn Write, place: &Path) -> Result<Exported> {
    bench.store.arena(name)?;
    let mut done = Exported { arena: name.to_owned(), exported: 0, pending: 0 };
    for battle in bench.store.battles(name)? {
        match exchange::write(&battle) {
            Some(line) => {
                writeln!(out, "{line}").map_err(|e| Error::io(place, &e))?;
                done.exported += 1;
            }
            None => done.pending += 1,
        }
    }
    out.flush().map_err(|e| Error::io(place, &e))?;
    Ok(done)
}
