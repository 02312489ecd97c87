//! Comma-separated values as RFC 4180 has them, written and read.
//!
//! Spreadsheets write what the RFC says and read a little more; so do we: lines may end without a carriage return, and a mark of UTF-8
//! may stand at the beginning.

use std::fmt::Write as _;

/// Adds a record, with its line end.
pub fn write<'f>(out: &mut String, fields: impl IntoIterator<Item = &'f str>) {
    for (at, field) in fields.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        if field.contains([',', '"', '\r', '\n']) {
            let _ = write!(out, "\"{}\"", field.replace('"', "\"\""));
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

/// Reads all records; empty lines are none.
///
/// # Errors
/// The number of the line on which a quotation begins that does not end, or where text follows the end of one.
pub fn read(text: &str) -> Result<Vec<Vec<String>>, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut rest = text.chars().peekable();
    let mut line = 1;
    while rest.peek().is_some() {
        let begins = line;
        let mut field = String::new();
        let quoted = rest.next_if_eq(&'"').is_some();
        if quoted {
            loop {
                match rest.next().ok_or(begins)? {
                    '"' if rest.next_if_eq(&'"').is_some() => field.push('"'),
                    '"' => break,
                    '\n' => {
                        line += 1;
                        field.push('\n');
                    }
                    other => field.push(other),
                }
            }
        }
        while let Some(next) = rest.next_if(|next| !matches!(next, ',' | '\n')) {
            match next {
                '\r' => {}
                _ if quoted => return Err(line),
                other => field.push(other),
            }
        }
        record.push(field);
        if rest.next() == Some(',') && rest.peek().is_some() {
            continue;
        }
        line += 1;
        let is_empty = !quoted && record.len() == 1 && record[0].is_empty();
        if !is_empty {
            records.push(std::mem::take(&mut record));
        }
        record.clear();
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let records = [
            vec!["call", "said", "usd"],
            vec!["rf-1", "\"yes\", he said,\r\nand hung up", "0.0125"],
            vec!["", "", ""],
        ];
        let mut text = String::new();
        for record in &records {
            write(&mut text, record.iter().copied());
        }
        assert!(text.contains("\"\"\"yes\"\", he said,\r\nand hung up\""));
        assert_eq!(read(&text).expect("records"), records);
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        let read = read("\u{feff}a,b\n1,\n\n\"x\",2").expect("records");
        assert_eq!(read, [["a", "b"], ["1", ""], ["x", "2"]]);
    }

    #[test]
    fn a_quotation_that_does_not_end_is_told_by_its_line() {
        assert_eq!(read("a\nb\n\"c\nd"), Err(3));
        assert_eq!(read("a\n\"b\"c"), Err(2));
    }
}
