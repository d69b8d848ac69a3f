//! What lies over a screen and has the keys while it does.

use super::form::Form;
use super::keymap::View;
use super::palette::Palette;
use super::screens::Confirm;
use super::tour::Tour;
use super::widgets::{Input, Pager};

/// A window over the screen.
pub enum Overlay {
    /// The list of keys.
    Help(Pager),
    /// A question before something is destroyed.
    Confirm(Confirm),
    /// A form of a verb.
    Form(Box<Form>),
    /// Every command by name.
    Palette(Palette),
    /// The first steps.
    Tour(Tour),
    /// Leaving while jobs run.
    Leave,
}

impl Overlay {
    /// Which commands apply.
    pub fn view(&self) -> View {
        match self {
            Overlay::Help(_) => View::Help,
            Overlay::Confirm(_) => View::Confirm,
            Overlay::Form(_) => View::Form,
            Overlay::Palette(_) => View::Palette,
            Overlay::Tour(_) => View::Tour,
            Overlay::Leave => View::Leave,
        }
    }

    /// The text field that is typed into.
    pub fn input(&mut self) -> Option<&mut Input> {
        match self {
            Overlay::Form(form) => form.input(),
            Overlay::Palette(palette) => Some(&mut palette.input),
            _ => None,
        }
    }
}
