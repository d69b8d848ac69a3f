//! Numbers and times as people read them.

use crate::tr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// 1234567 as `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// 98400000 as `98.4 MB`: decimal units, as disks and hubs count.
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    let mut units = ["kB", "MB", "GB", "TB"].into_iter();
    let mut unit = "B";
    while value >= 1000.0
        && let Some(next) = units.next()
    {
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") }
}

/// 0.1234 as `12.3%`.
pub fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// A loss or another value around one: four significant digits or so.
pub fn value(v: f64) -> String {
    if !v.is_finite() {
        return "-".into();
    }
    match v.abs() {
        a if a >= 1000.0 => format!("{v:.0}"),
        a if a >= 100.0 => format!("{v:.1}"),
        a if a >= 0.01 || a == 0.0 => format!("{v:.3}"),
        _ => format!("{v:.1e}"),
    }
}

/// A small quantity such as a learning rate: `2.0e-4`.
pub fn tiny(v: f64) -> String {
    if v == 0.0 { "0".into() } else { format!("{v:.1e}") }
}

/// Seconds as `42s`, `3m 05s`, `2h 07m`, `3d 04h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".into();
    }
    let s = seconds.round() as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// Seconds between two RFC 3339 times.
pub fn between(start: &str, end: &str) -> Option<f64> {
    let parse = |t: &str| OffsetDateTime::parse(t, &Rfc3339).ok();
    Some((parse(end)? - parse(start)?).as_seconds_f64())
}

/// How long before `now` (Unix seconds) the RFC 3339 time `at` was. Needs no time zone.
pub fn ago(at: &str, now: i64) -> String {
    let Ok(at) = OffsetDateTime::parse(at, &Rfc3339) else { return String::new() };
    let seconds = (now - at.unix_timestamp()).max(0);
    match seconds {
        0..60 => tr!("just now", "刚刚"),
        60..3600 => tr!("{} min ago", "{} 分钟前", seconds / 60),
        3600..86_400 => tr!("{} h ago", "{} 小时前", seconds / 3600),
        86_400..2_592_000 => tr!("{} d ago", "{} 天前", seconds / 86_400),
        _ => at.date().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(percent(0.4567), "45.7%");
        assert_eq!(value(2.345_67), "2.346");
        assert_eq!(value(0.0), "0.000");
        assert_eq!(value(f64::NAN), "-");
        assert_eq!(tiny(2e-4), "2.0e-4");
        assert_eq!(duration(59.4), "59s");
        assert_eq!(duration(185.0), "3m 05s");
        assert_eq!(duration(7_620.0), "2h 07m");
        assert_eq!(duration(f64::INFINITY), "-");
        assert_eq!(between("2026-01-01T00:00:00.000Z", "2026-01-01T00:01:30.500Z"), Some(90.5));
        assert_eq!(between("nonsense", "2026-01-01T00:00:00Z"), None);
    }
}
