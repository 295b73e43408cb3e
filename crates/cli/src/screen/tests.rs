use super::*;

#[test]
fn lines_are_cut_at_the_right_edge_whatever_their_looks() {
    let line = Line::new(Style::Strong, "abc").with(Style::Plain, "dé×gh");
    assert_eq!(line.text(), "abcdé×gh");
    assert_eq!(line.codes(6, false), "abcdé×");
    assert_eq!(line.codes(6, true), "\x1b[1mabc\x1b[0mdé×");
    assert_eq!(line.codes(2, true), "\x1b[1mab\x1b[0m");
    assert_eq!(line.codes(80, false), line.text());
}

#[test]
fn lines_that_are_too_long_end_with_an_ellipsis() {
    let line = Line::new(Style::Strong, "abc").with(Style::Plain, "def");
    let fitted = [7, 6, 5, 2, 1, 0].map(|columns| line.clone().fit(columns).text());
    assert_eq!(fitted, ["abcdef", "abcdef", "abcd…", "a…", "…", ""]);
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let line = Line::new(Style::Plain, "a\x1b[2Jb\r\n");
    assert_eq!(line.codes(80, true), "a?[2Jb??");
}

#[test]
fn a_frame_covers_what_was_there_and_no_more_than_the_screen() {
    let lines = ["one", "two", "three"].map(|text| Line::new(Style::Plain, text));
    assert_eq!(
        frame(&lines, 80, 2, false),
        "\x1b[H\x1b[2Kone\r\n\x1b[2Ktwo"
    );
    assert_eq!(
        frame(&lines[..1], 80, 2, false),
        "\x1b[H\x1b[2Kone\r\n\x1b[0J"
    );
}

#[test]
fn colours_come_again_when_there_are_no_more() {
    let code = |number| Style::Colour(number).code();
    assert_eq!(code(0), code(COLOURS.len()));
    assert_ne!(code(0), code(1));
}
