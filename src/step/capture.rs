use std::collections::VecDeque;

/// Output of which the beginning and the end are kept: what a long one says in
/// between is rarely what it ended with, and must not fill the memory.
#[derive(Debug)]
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Most bytes of each.
    half: usize,
    total: u64,
}

impl Capture {
    /// Keeps so many bytes in all.
    pub(super) fn new(limit: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), half: limit.div_ceil(2), total: 0 }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.half)..];
        let room = self.half - rest.len();
        let old = self.tail.len().saturating_sub(room);
        self.tail.drain(..old);
        self.tail.extend(rest);
    }

    /// How many bytes were left out of the middle.
    pub(super) fn lost(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }

    /// What was kept as text, with a line where something is missing.
    pub(super) fn text(&self) -> String {
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        if self.lost() == 0 {
            let whole = [self.head.as_slice(), &tail].concat();
            return String::from_utf8_lossy(&whole).into_owned();
        }
        format!(
            "{}\n[{} bytes left out]\n{}",
            String::from_utf8_lossy(&self.head),
            self.lost(),
            String::from_utf8_lossy(&tail)
        )
    }

    /// The last lines that are not empty.
    pub(super) fn last_lines(&self, most: usize) -> Vec<String> {
        let text = self.text();
        let mut lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(most).collect();
        lines.reverse();
        lines.into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        let cases: [(&[&str], &str); 5] = [
            (&["ab", "c"], "abc"),
            (&["abcdefgh"], "abcdefgh"),
            (&["abcd", "ef", "gh"], "abcdefgh"),
            (&["abcdefghi"], "abcd\n[1 bytes left out]\nfghi"),
            (&["abc", "defghijklmnopqrstuvw", "x", "yz"], "abcd\n[18 bytes left out]\nwxyz"),
        ];
        for (pieces, kept) in cases {
            let mut capture = Capture::new(8);
            for piece in pieces {
                capture.push(piece.as_bytes());
            }
            assert_eq!(capture.text(), kept);
        }
    }

    #[test]
    fn last_lines_skip_empty_ones() {
        let mut capture = Capture::new(100);
        capture.push(b"one\ntwo\n\nthree\n\n");
        assert_eq!(capture.last_lines(2), ["two", "three"]);
    }
}
