//! Models and adapters, as the screens see them.

/// What stands in the list of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ModelKind {
    /// Its files are on this machine.
    #[default]
    Here,
    /// In the catalogue, to be pulled.
    Catalogue,
    /// An adapter of this home.
    Adapter,
}

/// A model or an adapter in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelLine {
    /// What it is.
    pub kind: ModelKind,
    /// Its name on the command line.
    pub name: String,
    /// Its name for people; may be empty.
    pub title: String,
    /// Bytes on disk, here or to come.
    pub bytes: u64,
    /// Licence, if known.
    pub licence: String,
    /// Its folder or file; empty for what is not here.
    pub path: String,
    /// Of an adapter: the base it belongs to.
    pub base: String,
    /// Of an adapter: the template that is bound to it.
    pub template: String,
    /// Of an adapter: its rank, if its folder tells.
    pub rank: Option<u64>,
    /// Of an adapter: the dataset it was trained on, with the version's hash (`NAME@HASH`).
    pub data: String,
    /// Of an adapter: the run that made it.
    pub run: String,
    /// Of an adapter: a folder that does not exist yet, for its base with it merged in.
    pub merged: String,
    /// Of an adapter: when it was made, RFC 3339 UTC.
    pub created: String,
}

/// What a model is and needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// Label and value, as `models info` tells them.
    pub facts: Vec<(String, String)>,
    /// Bytes that inference takes.
    pub infer: u64,
    /// Bytes that training an adapter takes.
    pub train: u64,
    /// Bytes of memory that are free, if the system tells.
    pub free: Option<u64>,
    /// Tokens at a time that both are told for.
    pub tokens: u64,
}

/// A question about models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelsQuery {
    /// Models on this machine, then adapters, then the rest of the catalogue.
    List,
    /// What a model is and needs; weights are not read.
    Facts(String),
}

/// What a question about models is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelsAnswer {
    /// The list.
    List(Vec<ModelLine>),
    /// The facts.
    Facts(ModelFacts),
}
