//! The verbs of the command line as the terminal interface knows them: plain data that the command
//! line hands over, from which the palette and the forms are made. So whatever can be typed can be done here.

/// What a value of the command line names, so that the interface can offer those there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// A number, a word, a path.
    #[default]
    Nothing,
    /// A model: catalogue name, folder or `.gguf` file.
    Model,
    /// An adapter of this home.
    Adapter,
    /// An adapter that is to be made.
    NewAdapter,
    /// A dataset, or a share of the rows.
    HeldOut,
    /// A dataset of this home.
    Dataset,
    /// A benchmark or a group of them.
    Benchmark,
    /// An arena.
    Arena,
    /// A run.
    Run,
}

/// One argument of a verb.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerbField {
    /// Its name: `model`, `batch-size`.
    pub name: String,
    /// How it is written: `--batch-size`; none for an argument that stands by its place.
    pub flag: Option<String>,
    /// What it means, in a sentence.
    pub help: String,
    /// Whether the verb cannot do without it.
    pub required: bool,
    /// Arguments that make it needless when they are given.
    pub unless: Vec<String>,
    /// Whether it is followed by a value; otherwise it is there or not.
    pub valued: bool,
    /// Whether it takes several values.
    pub many: bool,
    /// What holds when it is left out; empty for nothing.
    pub default: String,
    /// The only values it may have; empty for any.
    pub choices: Vec<String>,
    /// What its value names.
    pub naming: Naming,
}

/// One verb: `data import`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verb {
    /// Its words.
    pub path: Vec<String>,
    /// What it does, in a sentence.
    pub about: String,
    /// Its arguments; the global flags are left out.
    pub fields: Vec<VerbField>,
}

impl Verb {
    /// Its words in one: `data import`.
    pub fn name(&self) -> String {
        self.path.join(" ")
    }
}

/// All verbs, and whether a line of arguments is understood.
#[derive(Clone)]
pub struct Commands {
    /// The verbs, in the order of the help.
    pub verbs: Vec<Verb>,
    /// What is wrong with the arguments after the program's name; none if nothing is.
    pub check: fn(&[String]) -> Option<String>,
}

impl Default for Commands {
    fn default() -> Commands {
        Commands { verbs: Vec::new(), check: |_| None }
    }
}

impl Commands {
    /// The verb with this name.
    pub fn find(&self, name: &str) -> Option<&Verb> {
        self.verbs.iter().find(|verb| verb.name() == name)
    }
}
