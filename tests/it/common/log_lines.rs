//! Reading the lines of a log.

/// The instant of a line in the assignment's form, down to the microseconds at its end. `None` of a line in another form.
pub fn stamp(line: &str) -> Option<String> {
    let (_, from_instant) = line.split_once(':')?;
    let (instant, rest) = from_instant.split_at_checked("2025-10-26T18:00:04.500".len())?;
    let (_, micros) = rest.strip_prefix("Z:")?.rsplit_once(" us=")?;
    Some(format!("{instant}{micros}"))
}

/// The request that a line, or an audit record, belongs to.
pub fn request_of(line: &str) -> Option<&str> {
    let (_, from_id) = line.rsplit_once(" req=").or_else(|| line.rsplit_once("\"req\":\""))?;
    from_id.split([' ', '"']).next()
}
