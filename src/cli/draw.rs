//! Small pictures in text.

/// A curve of `values` in at most `width` characters: each stands for the mean of its part.
pub fn sparkline(values: &[f64], width: usize) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let width = width.min(values.len());
    let means: Vec<f64> = (0..width)
        .map(|i| {
            let part = &values[i * values.len() / width..(i + 1) * values.len() / width];
            part.iter().sum::<f64>() / part.len() as f64
        })
        .collect();
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let span = means.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    means.iter().map(|m| LEVELS[if span > 0.0 { ((m - low) / span * 7.0).round() as usize } else { 0 }]).collect()
}

/// Parts of a whole as one bar of `width` marks, each part with its own mark (they are used again when there are more parts).
pub fn stacked_bar(parts: &[usize], marks: &[char], width: usize) -> String {
    let total: usize = parts.iter().sum();
    let mut bar = String::new();
    let mut before = 0;
    for (part, mark) in parts.iter().zip(marks.iter().cycle()) {
        let end = before + part;
        let columns = |rows: usize| (rows * width + total / 2).checked_div(total).unwrap_or(0);
        bar.extend(std::iter::repeat_n(*mark, columns(end) - columns(before)));
        before = end;
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_bar_fill_it() {
        assert_eq!(stacked_bar(&[3, 1], &['#', '.'], 8), "######..");
        assert_eq!(stacked_bar(&[1, 1, 1], &['#', '.'], 10).chars().count(), 10);
        assert_eq!(stacked_bar(&[0, 0], &['#', '.'], 10), "");
    }

    #[test]
    fn a_falling_curve_falls_and_a_flat_one_stays_low() {
        assert_eq!(sparkline(&[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 8), "█▇▆▅▄▃▂▁");
        assert_eq!(sparkline(&[1.0, 1.0], 10), "▁▁");
        assert_eq!(sparkline(&[], 10), "");
        assert_eq!(sparkline(&[0.0; 100], 10).chars().count(), 10);
    }
}
