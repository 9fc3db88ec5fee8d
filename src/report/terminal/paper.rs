//! What tests print on.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// What was written, for whoever holds a copy.
#[derive(Clone, Default)]
pub(super) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal as indicatif and our lines see it: it wraps at its edge and never forgets a line.
#[derive(Clone, Debug)]
pub(super) struct Screen(Arc<Mutex<Grid>>);

#[derive(Debug)]
struct Grid {
    rows: Vec<Row>,
    row: usize,
    column: usize,
    width: usize,
    height: u16,
    /// The most rows the cursor ever went up.
    highest: usize,
}

#[derive(Clone, Debug, Default)]
struct Row {
    cells: Vec<char>,
    /// Whether it goes on the row before, which was full.
    goes_on: bool,
}

impl Screen {
    pub(super) fn new(width: usize, height: u16) -> Self {
        let rows = vec![Row::default()];
        Self(Arc::new(Mutex::new(Grid { rows, row: 0, column: 0, width, height, highest: 0 })))
    }

    /// The most rows that were drawn at once.
    pub(super) fn rows(&self) -> usize {
        1 + self.0.lock().unwrap().highest
    }

    /// What stands there, without blanks at the end, full rows joined with those they go on in.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.0.lock().unwrap().rows {
            if !row.goes_on {
                text.truncate(text.trim_end_matches(' ').len());
                text.push('\n');
            }
            text.extend(&row.cells);
        }
        text.trim_matches('\n').trim_end().to_owned()
    }
}

impl Grid {
    fn put(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' => self.next_row(false),
                '\r' => self.column = 0,
                c => {
                    if self.column == self.width {
                        self.next_row(true);
                    }
                    let (row, column) = (self.row, self.column);
                    let cells = &mut self.rows[row].cells;
                    cells.resize(cells.len().max(column + 1), ' ');
                    cells[column] = c;
                    self.column += 1;
                }
            }
        }
    }

    fn next_row(&mut self, goes_on: bool) {
        self.row += 1;
        self.column = 0;
        self.rows.resize(self.rows.len().max(self.row + 1), Row::default());
        let row = self.row;
        self.rows[row].goes_on = goes_on;
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().put(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl indicatif::TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(self.0.lock().unwrap().width).unwrap()
    }

    fn height(&self) -> u16 {
        self.0.lock().unwrap().height
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        let mut grid = self.0.lock().unwrap();
        grid.highest = grid.highest.max(n);
        grid.row = grid.row.saturating_sub(n);
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        let mut grid = self.0.lock().unwrap();
        grid.row = (grid.row + n).min(grid.rows.len() - 1);
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        let mut grid = self.0.lock().unwrap();
        grid.put(text);
        grid.put("\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().put(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        let mut grid = self.0.lock().unwrap();
        let row = grid.row;
        grid.column = 0;
        grid.rows[row] = Row::default();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
