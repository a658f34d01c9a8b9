//! The date format of HTTP headers (RFC 9110 §5.6.7).

use dashvault_base::WallMs;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub(in crate::http) fn imf_fixdate(wall: WallMs) -> String {
    let (year, month, day, hour, minute, second) = wall.civil();
    // 1970-01-01 was a Thursday.
    let weekday = usize::try_from(wall.0.div_euclid(86_400_000).rem_euclid(7)).unwrap_or(0);
    let name = DAYS.get(weekday).unwrap_or(&"Thu");
    let month = MONTHS.get(usize::from(month).saturating_sub(1)).unwrap_or(&"Jan");
    format!("{name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfcs_own_example() {
        let wall = WallMs::from_civil(1994, 11, 6, 8, 49, 37);
        assert_eq!(imf_fixdate(wall), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
