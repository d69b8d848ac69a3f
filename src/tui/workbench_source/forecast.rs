//! Forecasts of the workbench as the training form shows them.

use crate::error::{Error, Kind, Result};
use crate::tr;
use crate::tui::source::ForecastView;
use crate::workbench::Workbench;
use crate::workbench::forecast::{Lengths, forecast};
use crate::workbench::train::TrainRequest;

/// How the line of a new training becomes a request, and whether it may use a GPU; `None` for any other line.
pub type ReadTraining = fn(&[String]) -> Result<Option<(TrainRequest, bool)>>;

/// What the training of the line `argv` would take.
pub fn answer(
    bench: &Workbench,
    read: Option<ReadTraining>,
    argv: &[String],
    lengths: &mut Lengths,
) -> Result<ForecastView> {
    let Some((request, on_card)) = read.map(|read| read(argv)).transpose()?.flatten() else {
        return Err(Error::new(Kind::Unsupported, tr!("nothing is known of this line", "无法估计这条命令")));
    };
    let found = forecast(bench, &request, on_card, lengths)?;
    let way = found.way;
    Ok(ForecastView {
        place: found.place,
        memory: way.as_ref().map(|way| way.bytes as u64),
        free: found.free,
        fits: way.is_some_and(|way| way.fits),
        steps: found.steps,
        seconds: found.seconds,
        speed: found.speed.map(|speed| (speed.tokens_per_second, speed.run)),
    })
}
