//! Blind battles between models, votes, and Bradley–Terry ratings.
