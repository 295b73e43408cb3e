use super::*;

/// Gives one piece for each read.
struct Pieces(Vec<&'static [u8]>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let piece = self.0.remove(0);
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

fn read(pieces: &[&'static [u8]], longest: usize) -> Vec<Vec<Line>> {
    let mut lines = Lines::new(Pieces(pieces.to_vec()), longest);
    std::iter::from_fn(|| lines.next_block().unwrap()).collect()
}

fn whole(text: &'static str) -> Line {
    Line::Whole(Bytes::from_static(text.as_bytes()))
}

#[test]
fn lines_come_as_soon_as_they_are_whole() {
    let blocks = read(&[b"one\ntwo\nth", b"ree\n", b"\nlast"], 100);
    let expected = [
        vec![whole("one"), whole("two")],
        vec![whole("three")],
        vec![whole("")],
        vec![whole("last")],
    ];
    assert_eq!(blocks, expected);
}

#[test]
fn only_the_line_feed_is_taken_off_and_nothing_is_read_from_nothing() {
    assert_eq!(read(&[b"dos\r\n"], 100), [[whole("dos\r")]]);
    assert!(read(&[], 100).is_empty());
}

#[test]
fn a_line_that_is_too_long_is_told_by_its_length_and_not_kept() {
    let blocks = read(&[b"1234", b"5678", b"\n1234\n"], 4);
    assert_eq!(blocks, [[Line::TooLong(8), whole("1234")]]);
    let mut lines = Lines::new(Pieces(vec![b"1234", b"5678", b"9"]), 4);
    assert_eq!(lines.next_block().unwrap(), Some(vec![Line::TooLong(9)]));
    assert!(lines.partial.capacity() < 16);
}
