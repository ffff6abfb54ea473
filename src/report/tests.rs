use super::*;

#[test]
fn csv_quotes_what_would_break_a_line() {
    let table = Table { columns: vec!["a".into(), "b,c".into()], rows: vec![vec!["say \"x\"".into(), "1\n2".into()]] };
    assert_eq!(table.csv(), "a,\"b,c\"\n\"say \"\"x\"\"\",\"1\n2\"\n");
}

#[test]
fn numbers_have_four_digits() {
    let cases = [
        (0.0, "0"),
        (0.12345, "0.1235"),
        (99.5, "99.5"),
        (1234.5, "1234"),
        (100.0, "100"),
        (1e-5, "1.00e-5"),
        (-0.25, "-0.25"),
        (12345678.0, "1.23e7"),
    ];
    for (value, text) in cases {
        assert_eq!(short(value), text);
    }
}
