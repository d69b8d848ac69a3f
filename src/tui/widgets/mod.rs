//! Pieces that several screens draw with. Frames use only characters that are one column wide in
//! every terminal: the usual box lines and arrows are "ambiguous" in Unicode (UAX #11) and East Asian
//! terminals may draw them two columns wide.

mod chart;
mod cursor;
mod fuzzy;
mod growing;
mod input;
mod pager;
mod paint;
mod popup;
mod scroll;
mod table;

pub use chart::{Chart, Line, Marker};
pub use cursor::Cursor;
pub use fuzzy::{closeness, fuzzy};
pub use growing::Growing;
pub use input::Input;
pub use pager::{Block, Pager};
pub use paint::{Paint, SPLIT};
pub use popup::popup;
pub use scroll::Scroll;
pub use table::{Column, Table, Text};
