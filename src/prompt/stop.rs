//! Texts that end an answer.

/// `text` up to the first of the texts that end it.
pub fn cut_at(mut text: String, stops: &[String]) -> String {
    if let Some(end) = first_stop(&text, stops) {
        text.truncate(end);
    }
    text
}

/// Where the first of `stops` begins in `text`.
fn first_stop(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min()
}

/// Looks for the texts that end an answer while it comes in pieces. What may be the beginning of one is held back, so
/// nothing is ever given out that belongs to it.
#[derive(Clone, Debug, Default)]
pub struct StopWatch {
    stops: Vec<String>,
    held: String,
    met: bool,
}

impl StopWatch {
    /// A watch for `stops`; empty ones are ignored.
    pub fn new(stops: &[String]) -> StopWatch {
        StopWatch { stops: stops.iter().filter(|s| !s.is_empty()).cloned().collect(), ..StopWatch::default() }
    }

    /// Takes the next piece; gives what is certain to belong to the answer.
    pub fn push(&mut self, piece: &str) -> String {
        if self.met {
            return String::new();
        }
        self.held.push_str(piece);
        if let Some(end) = first_stop(&self.held, &self.stops) {
            self.met = true;
            self.held.truncate(end);
            return std::mem::take(&mut self.held);
        }
        let held_back = self.stops.iter().map(|stop| begun(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - held_back);
        std::mem::replace(&mut self.held, rest)
    }

    /// Whether one of the texts was met: the answer is over.
    pub fn met(&self) -> bool {
        self.met
    }

    /// What is still held back, when the answer ended by itself.
    pub fn finish(self) -> String {
        if self.met { String::new() } else { self.held }
    }
}

/// Bytes at the end of `text` that `stop` begins with.
fn begun(text: &str, stop: &str) -> usize {
    let ends = stop.char_indices().map(|(i, _)| i).filter(|i| *i > 0);
    ends.filter(|end| stop.get(..*end).is_some_and(|head| text.ends_with(head))).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(stops: &[&str]) -> Vec<String> {
        stops.iter().map(|s| (*s).to_owned()).collect()
    }

    /// The answer as it is given out when `text` comes character by character.
    fn streamed(text: &str, stops: &[&str]) -> (String, bool) {
        let mut watch = StopWatch::new(&texts(stops));
        let mut out = String::new();
        for c in text.chars() {
            out.push_str(&watch.push(c.encode_utf8(&mut [0; 4])));
        }
        let met = watch.met();
        out.push_str(&watch.finish());
        (out, met)
    }

    #[test]
    fn in_pieces_it_is_cut_where_it_is_cut_as_a_whole() {
        for (text, stops) in [
            ("one\n\ntwo", &["\n\n"][..]),
            ("one\n two", &["\n\n"]),
            ("问：答：问：", &["问：答：问"]),
            ("aaab", &["aab"]),
            ("ends with a half sto", &["stop"]),
            ("none", &[]),
            ("", &["x"]),
            ("first", &["", "st", "r"]),
        ] {
            let (out, met) = streamed(text, stops);
            assert_eq!(out, cut_at(text.to_owned(), &texts(stops)), "{text}");
            assert_eq!(met, out != text, "{text}");
        }
    }

    #[test]
    fn only_what_may_begin_a_stop_is_held_back() {
        let mut watch = StopWatch::new(&texts(&["\n###"]));
        assert_eq!(watch.push("債券\n"), "債券");
        assert_eq!(watch.push("#"), "");
        assert_eq!(watch.push("1 "), "\n#1 ");
        assert_eq!(watch.push("x\n###y"), "x");
        assert!(watch.met());
        assert_eq!((watch.push("z"), watch.finish()), (String::new(), String::new()));
    }
}
