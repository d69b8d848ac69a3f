//! Where things are and what was asked for globally: defaults < settings file < environment < flag.

use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Settings that every command shares.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Holds `linly.db`, `models/`, `adapters/`, `runs/`.
    pub home: PathBuf,
    /// Holds downloaded benchmarks (`ceval/`, …).
    pub data_dir: Option<PathBuf>,
    /// Seed of everything random.
    pub seed: u64,
}

/// `settings.toml` in the home.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    seed: Option<u64>,
    interface: Interface,
}

/// The section `[interface]` of the settings file: what was chosen in the terminal interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Interface {
    /// Name of the theme.
    pub theme: Option<String>,
    /// `en` or `zh`; none for the locale's.
    pub lang: Option<String>,
    /// Whether the mouse is used.
    pub mouse: Option<bool>,
    /// Whether the first steps have been shown.
    pub toured: Option<bool>,
}

/// The platform's data folder for this program.
///
/// # Errors
/// `NotFound` when the user has no home folder and none was named.
pub fn default_home() -> Result<PathBuf> {
    use etcetera::BaseStrategy;
    etcetera::choose_base_strategy().map(|s| s.data_dir().join("linly-bench")).map_err(|_| {
        Error::new(Kind::NotFound, tr!("there is no home folder to keep data in", "找不到用于保存数据的主目录"))
            .hint(tr!("name one with --home DIR or LINLY_BENCH_HOME", "请用 --home DIR 或 LINLY_BENCH_HOME 指定"))
    })
}

impl Settings {
    /// Settles every setting. `home`, `data_dir`, `seed` are what flags or the environment gave.
    ///
    /// # Errors
    /// `InvalidInput` when the settings file cannot be understood.
    pub fn resolve(home: Option<PathBuf>, data_dir: Option<PathBuf>, seed: Option<u64>) -> Result<Settings> {
        let home = match home {
            Some(home) => home,
            None => default_home()?,
        };
        let file = read_file(&home.join("settings.toml"))?;
        Ok(Settings { data_dir: data_dir.or(file.data_dir), seed: seed.or(file.seed).unwrap_or(42), home })
    }

    /// The section `[interface]` of the home's settings file.
    ///
    /// # Errors
    /// `InvalidInput` when the file cannot be understood.
    pub fn interface(&self) -> Result<Interface> {
        Ok(read_file(&self.home.join("settings.toml"))?.interface)
    }

    /// Writes the section `[interface]` of the home's settings file; the rest of the file keeps its values.
    ///
    /// # Errors
    /// `InvalidInput` when the file cannot be understood, `Io` when it cannot be written.
    pub fn keep_interface(&self, interface: &Interface) -> Result<()> {
        let path = self.home.join("settings.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Error::io(&path, &e)),
        };
        let broken = |e: String| Error::new(Kind::InvalidInput, format!("{}: {e}", path.display()));
        let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| broken(e.to_string()))?;
        let section = toml::Value::try_from(interface).map_err(|e| broken(e.to_string()))?;
        table.insert("interface".to_owned(), section);
        let text = toml::to_string(&table).map_err(|e| broken(e.to_string()))?;
        // Beside its place and then moved: a reader never sees half a file.
        let new = self.home.join("settings.toml.new");
        std::fs::create_dir_all(&self.home).map_err(|e| Error::io(&self.home, &e))?;
        std::fs::write(&new, text).map_err(|e| Error::io(&new, &e))?;
        std::fs::rename(&new, &path).map_err(|e| Error::io(&path, &e))
    }

    /// Folder of downloaded models.
    pub fn models(&self) -> PathBuf {
        self.home.join("models")
    }

    /// Folder of trained adapters.
    pub fn adapters(&self) -> PathBuf {
        self.home.join("adapters")
    }

    /// Folder of the run `id` (checkpoints).
    pub fn run_dir(&self, id: &str) -> PathBuf {
        self.home.join("runs").join(id)
    }
}

fn read_file(path: &Path) -> Result<File> {
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(|e| {
            Error::new(Kind::InvalidInput, format!("{}: {e}", path.display()))
                .hint(tr!("correct or remove that file", "请改正或删除该文件"))
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        Err(e) => Err(Error::io(path, &e)),
    }
}
