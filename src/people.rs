//! Users of this machine by number.

use std::fs;

/// The name of a user, or `uid-1000` for one that this machine's list does not know.
pub(crate) fn name_of(uid: u32) -> String {
    let list = fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&list, uid).map_or_else(|| format!("uid-{uid}"), str::to_owned)
}

/// `name:password:uid:…`
fn name_in(list: &str, uid: u32) -> Option<&str> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number_whatever_else_the_list_holds() {
        let list = "# users\nroot:x:0:0:root:/root:/bin/sh\n\n+::::::\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(name_in(list, 1000), Some("anna"));
        assert_eq!(name_in(list, 0), Some("root"));
        assert_eq!(name_in(list, 7), None);
    }
}
